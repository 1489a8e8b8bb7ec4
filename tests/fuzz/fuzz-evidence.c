/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Evidence bundles as somebody gives them. Once as they are: what holds together is no longer so with any one byte changed.
 * Once with headers made good again, so that what is behind them is reached.
 */
#include "fuzz.h"

#include "tools/evidence/internal.h"

#include <sys/mman.h>

const unsigned fuzz_runs = 500;

static enum evidence_verdict verdict(const uint8_t *data, size_t n)
{
	const struct evidence_keys none = {.log = NULL};
	struct evidence_checked v;
	int fd = memfd_create("bundle", MFD_CLOEXEC);

	fuzz_check(fd >= 0 && cof_write_all(fd, data, n) == 0);
	evidence_check(fd, &none, NULL, NULL, &v);
	close(fd);
	/* No key was given: nobody vouches for it. */
	fuzz_check(v.verdict == EVIDENCE_CLAIMED || v.verdict == EVIDENCE_TAMPERED || v.verdict == EVIDENCE_NO_BUNDLE ||
		   v.verdict == EVIDENCE_COULD_NOT);
	fuzz_check(v.text[0]);
	cof_json_free(v.about);
	return v.verdict;
}

static void as_it_is(const uint8_t *data, size_t n)
{
	cof_autofree uint8_t *copy = NULL;
	uint8_t h[COF_HASH];
	size_t at;

	if (verdict(data, n) != EVIDENCE_CLAIMED)
		return;
	copy = malloc(n);
	fuzz_check(copy);
	memcpy(copy, data, n);
	cof_sha256(data, n, h);
	for (unsigned i = 0; i < 16; i++) {
		at = (size_t)(cof_get_le64(h + i) % n);
		copy[at] ^= (uint8_t)(1 << (h[i] & 7));
		fuzz_check(verdict(copy, n) != EVIDENCE_CLAIMED);
		copy[at] = data[at];
	}
}

/* Headers in the one form, of the names and sizes that are there as far as they can be. */
static void mended(const uint8_t *data, size_t n)
{
	cof_autofree uint8_t *copy = malloc(n + 1);
	int64_t mtime = -1;

	fuzz_check(copy);
	memcpy(copy, data, n);
	for (size_t at = 0; at + TAR_BLOCK <= n;) {
		struct tar_entry e = {.size = 0}, again;
		uint64_t v = 0;

		memcpy(e.name, copy + at, NAME_MAX_TAR);
		for (int i = 124; i < 135; i++)
			e.size = e.size << 3 | (copy[at + (size_t)i] & 7);
		for (int i = 136; i < 147; i++)
			v = v << 3 | (copy[at + (size_t)i] & 7);
		e.mtime = mtime < 0 ? (mtime = (int64_t)v) : mtime;
		if (tar_encode(&e, copy + at) < 0)
			break;
		fuzz_check(tar_decode(copy + at, &again) == 0 && again.size == e.size && !strcmp(again.name, e.name));
		if (tar_padded(e.size) > n - at - TAR_BLOCK)
			break;
		at += TAR_BLOCK + (size_t)tar_padded(e.size);
	}
	(void)verdict(copy, n);
}

static void proof(const uint8_t *data, size_t n)
{
	cof_autobuf struct cof_buf again = {0};
	struct evidence_proof p;
	cof_autofree char *note = NULL;

	if (evidence_proof_parse((const char *)data, n, &p) < 0)
		return;
	fuzz_check(p.n <= COF_PROOF_MAX && p.note_len <= n);
	note = strndup(p.note, p.note_len);
	fuzz_check(note);
	if (strlen(note) != p.note_len)
		return;
	fuzz_check(evidence_proof_text(p.index, (const void *)p.hash, p.n, note, &again) == 0);
	fuzz_check(again.len == n && !memcmp(again.data, data, n)); /* there is one way to write it */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static bool ready;

	if (!ready)
		fuzz_check(cof_crypto_init(8u << 20, NULL) == 0);
	ready = true;
	proof(data, n);
	as_it_is(data, n);
	mended(data, n);
	return 0;
}

void fuzz_seeds(void)
{
	fuzz_seed_text("c2sp.org/tlog-proof@v1\nindex 7\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\norigin\n8\nroot\n\n");
	fuzz_seed_text("c2sp.org/tlog-proof@v1\nindex 0\n\norigin\n1\n");
}
