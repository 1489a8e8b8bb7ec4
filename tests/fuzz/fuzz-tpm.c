/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A TPM's sealed object as bytes, and the opener's file around it. Nothing is proven before the TPM has
 * seen it, so all of it may be anything: what is taken has sizes within bounds, and is written again as it was.
 */
#include "fuzz.h"

#include "crypto/quorum.h"
#include "crypto/seal.h"

const unsigned fuzz_runs = 60000;

static const uint8_t archive[16] = "an archive's id";

static void within(const struct cof_tpm_sealed *s)
{
	fuzz_check(s->n_branches >= 1 && s->n_branches <= COF_TPM_BRANCHES);
	fuzz_check(s->public_len && s->public_len <= sizeof(s->public_area));
	fuzz_check(s->private_len && s->private_len <= sizeof(s->private_area));
	for (unsigned i = 0; i < s->n_branches; i++)
		fuzz_check(s->branch[i].mask && !(s->branch[i].mask & ~0x7effffu) &&
			   !(s->branch[i].mask & 1u << 16));
}

static void load(const uint8_t *data, size_t n)
{
	cof_autobuf struct cof_buf again = {0};
	static struct cof_tpm_sealed s;
	int err;

	memset(&s, 0x77, sizeof(s));
	err = cof_tpm_sealed_load(data, n, &s);
	fuzz_check(err == 0 || err == -EUCLEAN);
	if (err) {
		fuzz_check(s.index == 0x77777777 && s.n_branches == 0x77777777); /* untouched */
		return;
	}
	within(&s);
	fuzz_check(cof_tpm_sealed_store(&s, &again) == 0);
	fuzz_check(again.len == n && !memcmp(again.data, data, n));
}

static void load_file(const uint8_t *data, size_t n)
{
	static struct cof_tpm_sealed s;
	uint64_t generation = 77;
	int err = cof_seal_tpm2_read(archive, data, n, &s, &generation);

	fuzz_check(err == 0 || err == -EUCLEAN || err == -EXDEV);
	fuzz_check(err == 0 || generation == 77);
	if (err == 0)
		within(&s);
}

static void load_quorum(const uint8_t *data, size_t n)
{
	cof_autobuf struct cof_buf again = {0};
	static struct cof_quorum q;
	uint8_t cphash[COF_HASH], sig[COF_P256_SIGNATURE];
	int err;

	memset(&q, 0x77, sizeof(q));
	(void)cof_p256_signature(data, n, sig);
	err = cof_quorum_load(data, n, &q);
	fuzz_check(err == 0 || err == -EUCLEAN);
	if (err) {
		fuzz_check(q.n_persons == 0x77777777 && q.n_sets == 0x77777777);
		return;
	}
	fuzz_check(cof_quorum_check(&q, NULL) == 0 && !q.object.n_branches && !q.object.pin);
	(void)cof_quorum_cphash(&q, cphash);
	fuzz_check(cof_quorum_store(&q, &again) == 0);
	fuzz_check(again.len == n && !memcmp(again.data, data, n));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	load(data, n);
	load_file(data, n);
	load_quorum(data, n);
	return 0;
}

static void seed(unsigned branches, bool pin, uint32_t mask)
{
	cof_autobuf struct cof_buf blob = {0}, file = {0};
	struct cof_tpm_sealed s = {.index = 0x01812345, .value = 0x1122334455667788, .pin = pin,
				   .n_branches = branches, .public_len = 78, .private_len = 190};
	uint8_t head[COF_SEAL_SIZE] = "COFSEAL1";

	for (size_t i = 0; i < sizeof(s.parent_name); i++)
		s.parent_name[i] = s.identity[i] = (uint8_t)i;
	s.parent_name[1] = s.identity[1] = 0x0b; /* SHA-256 */
	memset(s.public_area, 0x61, sizeof(s.public_area));
	memset(s.private_area, 0x62, sizeof(s.private_area));
	s.public_area[0] = s.private_area[0] = 0;
	s.public_area[1] = (uint8_t)(s.public_len - 2);
	s.private_area[1] = (uint8_t)(s.private_len - 2);
	for (unsigned i = 0; i < branches; i++) {
		s.branch[i].mask = mask;
		for (unsigned k = 0; k < COF_TPM_PCRS; k++)
			if (mask & 1u << k)
				memset(s.branch[i].value[k], (int)(i + k), COF_HASH);
	}
	fuzz_check(cof_tpm_sealed_store(&s, &blob) == 0);
	fuzz_check(cof_tpm_sealed_load(blob.data, blob.len, &s) == 0);
	fuzz_seed(blob.data, blob.len);
	head[8] = COF_OPENER_TPM2;
	head[9] = 1;
	memcpy(head + 24, archive, sizeof(archive));
	head[132] = 1;
	cof_buf_add(&file, head, sizeof(head));
	cof_buf_add(&file, blob.data, blob.len);
	fuzz_seed(file.data, file.len);
}

static void seed_quorum(void)
{
	static struct cof_quorum q = {.object = {.index = 0x01800001, .value = 1, .public_len = 44, .private_len = 60}, .n_persons = 3,
				      .n_sets = 3, .set = {3, 5, 6}};
	cof_autobuf struct cof_buf b = {0};

	for (unsigned i = 0; i < 3; i++) {
		q.person[i].name[0] = (char)('a' + i);
		q.person[i].point[0] = (uint8_t)i;
	}
	fuzz_check(cof_quorum_store(&q, &b) == 0);
	fuzz_seed(b.data, b.len);
}

void fuzz_seeds(void)
{
	seed(1, false, 1u << 7);
	seed(2, true, 1u << 7 | 1u << 11);
	seed(COF_TPM_BRANCHES, true, 0x7effffu & ~(1u << 16));
	seed_quorum();
}
