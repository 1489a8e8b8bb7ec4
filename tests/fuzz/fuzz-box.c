/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Seals of the root key and sealed boxes, as files give them. Whatever is altered is refused: what
 * opens is a seed, byte for byte.
 */
#include "fuzz.h"

#include "crypto/seal.h"

const unsigned fuzz_runs = 40000;

static const uint8_t archive[16] = "an archive's id";
static const uint8_t key[COF_KEY] = {1, 2, 3}, root[COF_KEY] = {4, 5, 6};
static uint8_t key_file[48] = {7, 8, 9};
static const char phrase[] = "a passphrase";

static struct cof_buf made[16];
static size_t n_made;

static void init(void)
{
	static bool done;

	if (!done)
		fuzz_check(cof_crypto_init(1 << 20, NULL) == 0);
	done = true;
}

static bool is_made(const uint8_t *data, size_t n)
{
	for (size_t i = 0; i < n_made; i++)
		if (made[i].len == n && !memcmp(made[i].data, data, n))
			return true;
	return n_made == 0; /* libFuzzer's corpus is not known here */
}

/* Memory, passes and lanes that a fuzzer can wait for. */
static bool is_cheap(const uint8_t *blob)
{
	return cof_get_le32(blob + 12) <= 256 && cof_get_le32(blob + 16) <= 4;
}

static void open_seal(const uint8_t *data, size_t n)
{
	struct cof_opener_secret s = {COF_OPENER_FILE, key_file, sizeof(key_file)};
	enum cof_opener_kind kind = COF_OPENER_FILE;
	uint8_t got[COF_KEY] = {0x77};
	uint64_t generation = 77;
	struct cof_diag d = {""};
	int err = cof_seal_kind(data, n, &kind);

	fuzz_check(err == 0 || err == -EUCLEAN);
	if (err == 0 && kind == COF_OPENER_PASSPHRASE) {
		if (!is_cheap(data))
			return;
		s = (struct cof_opener_secret){kind, phrase, sizeof(phrase) - 1};
	}
	err = cof_seal_open(&s, archive, data, n, got, &generation, &d);
	fuzz_check(err == 0 || err == -EUCLEAN || err == -EXDEV || err == -EKEYREJECTED);
	fuzz_check(err == 0 || (got[0] == 0x77 && generation == 77 && d.text[0]));
	fuzz_check(err || (is_made(data, n) && !memcmp(got, root, COF_KEY)));
}

static void open_box(enum cof_box_kind kind, uint64_t page, const uint8_t *data, size_t n)
{
	uint64_t generation = 77;
	void *plain = NULL;
	size_t len = 77;
	int err = cof_box_open(kind, key, archive, page, data, n, &generation, &plain, &len);

	fuzz_check(err == 0 || err == -EUCLEAN || err == -EXDEV || err == -EBADMSG ||
		   err == -ENOMEM);
	fuzz_check(err == 0 || (!plain && len == 77 && generation == 77));
	fuzz_check(err || (is_made(data, n) && len + COF_BOX_OVERHEAD == n));
	cof_secret_free(plain);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	init();
	open_seal(data, n);
	open_box(COF_BOX_TOP, 0, data, n);
	open_box(COF_BOX_PAGE_H, 1, data, n);
	open_box(COF_BOX_PAGE_R, UINT32_MAX, data, n);
	open_box(COF_BOX_EPOCH, 0, data, n);
	return 0;
}

static void add(void)
{
	fuzz_check(!made[n_made].failed);
	fuzz_seed(made[n_made].data, made[n_made].len);
	n_made++;
}

void fuzz_seeds(void)
{
	static const struct cof_argon2_cost cheap = {8, 1, 1};
	static const struct {
		enum cof_box_kind kind;
		uint64_t page;
		size_t n;
	} boxes[] = {
	    {COF_BOX_TOP, 0, 500},  {COF_BOX_PAGE_H, 1, 41 * 3}, {COF_BOX_PAGE_R, UINT32_MAX, 41},
	    {COF_BOX_EPOCH, 0, 47}, {COF_BOX_EPOCH, 0, 0},       {COF_BOX_TOP, 0, 70000}};
	static const uint8_t plain[70000] = {1};
	uint8_t blob[COF_SEAL_SIZE], wrap[COF_KEY];

	init();
	for (size_t i = 0; i < COF_COUNT(boxes); i++) {
		fuzz_check(cof_box_seal(boxes[i].kind, key, archive, i, boxes[i].page, plain,
					boxes[i].n, &made[n_made]) == 0);
		add();
	}
	for (int i = 0; i < 2; i++) {
		const struct cof_opener_secret s =
		    i ? (struct cof_opener_secret){COF_OPENER_FILE, key_file, sizeof(key_file)}
		      : (struct cof_opener_secret){COF_OPENER_PASSPHRASE, phrase,
						   sizeof(phrase) - 1};

		fuzz_check(cof_seal_make(&s, archive, &cheap, root, 3, blob, wrap) == 0);
		cof_buf_add(&made[n_made], blob, sizeof(blob));
		add();
	}
}
