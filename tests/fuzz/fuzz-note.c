/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signed notes as a peer or a file gives them. The keys are known and their seeds are not in reach
 * of a mutation, so nothing but a seed's own text may verify.
 */
#include "fuzz.h"

#include "crypto/note.h"

const unsigned fuzz_runs = 8000;

static struct cof_vkey keys[2];
static uint8_t seeds[2][32];
static struct cof_buf signed_texts[16]; /* what the keys signed */
static size_t n_signed;

static void init(void)
{
	static bool done;
	uint8_t public_key[32];

	if (done)
		return;
	done = true;
	fuzz_check(cof_crypto_init(1 << 20, NULL) == 0);
	for (int i = 0; i < 32; i++) {
		seeds[0][i] = (uint8_t)i;
		seeds[1][i] = (uint8_t)(32 + i);
	}
	fuzz_check(cof_ed25519_public(seeds[0], public_key) == 0);
	fuzz_check(cof_vkey_make("coffer.example/log1", COF_NOTE_ED25519, public_key, &keys[0]) ==
		   0);
	fuzz_check(cof_ed25519_public(seeds[1], public_key) == 0);
	fuzz_check(cof_vkey_make("witness.example/w1", COF_NOTE_COSIG, public_key, &keys[1]) == 0);
}

static bool was_signed(const char *text, size_t n)
{
	for (size_t i = 0; i < n_signed; i++)
		if (signed_texts[i].len == n && !memcmp(signed_texts[i].data, text, n))
			return true;
	return false;
}

static void open_note(const uint8_t *data, size_t n)
{
	struct cof_checkpoint cp = {.size = 77};
	struct cof_note note;
	int err = cof_note_open(data, n, keys, 2, &note);

	fuzz_check(err == 0 || err == -EUCLEAN || err == -EBADMSG || err == -ENOKEY);
	if (err == 0) {
		const char *s = (const char *)data;

		fuzz_check(note.text == s && note.text_len < n && s[note.text_len - 1] == '\n');
		fuzz_check(note.verified && note.verified < 4);
		if (n_signed) /* else libFuzzer's inputs may be signed ones that are not known */
			fuzz_check(was_signed(note.text, note.text_len));
	}
	err = cof_checkpoint_open(data, n, &keys[0], &cp);
	fuzz_check(err == 0 ? !strcmp(cp.origin, keys[0].name) : cp.size == 77);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	cof_autobuf struct cof_buf note = {0};

	init();
	open_note(data, n);
	/* A vault puts its line under whatever it was sent: or says why not, and changes nothing.
	 */
	cof_buf_add(&note, data, n);
	if (cof_note_cosign(&note, &keys[1], seeds[1], 5) == 0) {
		struct cof_note opened;

		fuzz_check(note.len > n && note.len <= COF_NOTE_MAX);
		fuzz_check(!memcmp(note.data, data, n));
		fuzz_check(cof_note_open(note.data, note.len, &keys[1], 1, &opened) != -EUCLEAN);
	} else {
		fuzz_check(note.failed || note.len == n);
	}
	return 0;
}

static void sign(const char *text)
{
	struct cof_buf *own = &signed_texts[n_signed++];
	cof_autobuf struct cof_buf note = {0};

	cof_buf_add(own, text, strlen(text));
	fuzz_check(cof_note_sign(text, strlen(text), &keys[0], seeds[0], &note) == 0);
	fuzz_seed(note.data, note.len);
	(void)cof_note_cosign(&note, &keys[1], seeds[1], 1679315147); /* of checkpoints only */
	fuzz_seed(note.data, note.len);
}

void fuzz_seeds(void)
{
	init();
	sign("coffer.example/log1\n8\nXcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=\n");
	sign("coffer.example/log1\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n");
	sign("another.example\n1\nbjQLnP+zepicpUTmu3gKLHiQHT+zNzh2hRGjBhevoB0=\n");
	sign("any text\n\nof two parts\n");
}
