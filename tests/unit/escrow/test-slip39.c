/* SPDX-License-Identifier: Apache-2.0 */
/* SLIP-39: official and foreign vectors, and what has to hold of every scheme. */
#include "test-escrow.h"

#include "base/json.h"
#include "crypto/crypto.h"
#include "escrow/slip39-private.h"

#include <fcntl.h>
#include <stdio.h>

static const uint8_t secret32[32] = {0xde, 0xad, 0xbe, 0xef, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
				     13,   14,	 15,   16,   17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28};

/* ---- vectors in files: [name, [words…], secret in hex, …] ---- */

static struct cof_json *load(const char *path)
{
	cof_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct cof_json *j = NULL;
	char *text = malloc(1 << 20);
	size_t n = 0;

	if (fd >= 0) {
		ck_assert_int_eq(cof_read_all(fd, text, 1 << 20, &n), 0);
		ck_assert_int_eq(cof_json_parse(text, n, &j), 0);
	}
	free(text);
	return j;
}

/* -errno of the first thing that is refused. */
static int recover(const struct cof_json *words, const char *passphrase, uint8_t *ret, size_t *ret_n)
{
	cof_autosecret struct cof_slip39_share *share = cof_secret_alloc(sizeof(*share));
	struct cof_slip39_session *s = NULL;
	enum cof_slip39_added added;
	struct cof_diag diag = {""};
	int r = cof_slip39_session_new(&s);

	ck_assert_int_eq(r, 0);
	for (size_t i = 0; r == 0 && i < cof_json_count(words); i++) {
		const char *text = cof_json_text(cof_json_at(words, i), false); /* in quotes, which are no letters */

		r = cof_slip39_read(text, strlen(text), share, &diag);
		if (r == 0)
			r = cof_slip39_session_add(s, share, &added, &diag);
	}
	if (r == 0)
		r = cof_slip39_session_recover(s, passphrase, ret, ret_n, &diag);
	ck_assert(r == 0 || diag.text[0]);
	cof_slip39_session_free(s);
	return r;
}

static unsigned check_vectors(const struct cof_json *all, const char *passphrase, unsigned *ret_good)
{
	cof_autosecret uint8_t *got = cof_secret_alloc(COF_SLIP39_SECRET_MAX);
	unsigned n = (unsigned)cof_json_count(all);

	*ret_good = 0;
	for (unsigned i = 0; i < n; i++) {
		const struct cof_json *one = cof_json_at(all, i);
		const char *want = cof_json_text(cof_json_at(one, 2), false);
		char hex[2 * COF_SLIP39_SECRET_MAX + 3];
		size_t len = 0;
		int r = recover(cof_json_at(one, 1), passphrase, got, &len);

		if (!strcmp(want, "\"\"")) {
			ck_assert_msg(r < 0, "vector %u was accepted", i + 1);
			continue;
		}
		ck_assert_msg(r == 0, "vector %u: %s", i + 1, strerror(-r));
		hex[0] = '"';
		cof_hex(got, len, hex + 1);
		strcat(hex, "\"");
		ck_assert_str_eq(hex, want);
		++*ret_good;
	}
	return n;
}

START_TEST(official_vectors)
{
	struct cof_json *all = load(escrow_official);
	unsigned good;

	ck_assert_ptr_nonnull(all);
	ck_assert_uint_eq(check_vectors(all, "TREZOR", &good), 45);
	ck_assert_uint_eq(good, 15);
	cof_json_free(all);
}
END_TEST

/* Made by another implementation (tests/vectors/slip39-cross.js). */
START_TEST(foreign_vectors)
{
	struct cof_json *all = load(escrow_foreign);
	unsigned good;

	ck_assert_ptr_nonnull(all);
	ck_assert_uint_ge(check_vectors(all, "cross check", &good), 20);
	ck_assert_uint_ge(good, 20);
	cof_json_free(all);
}
END_TEST

/* ---- arithmetic ---- */

START_TEST(field)
{
	ck_assert_uint_eq(cof_gf256_mul(0x57, 0x83), 0xc1); /* FIPS 197, 4.2 */
	ck_assert_uint_eq(cof_gf256_mul(0x57, 0x13), 0xfe);
	ck_assert_uint_eq(cof_gf256_inv(0x53), 0xca);
	ck_assert_uint_eq(cof_gf256_inv(0), 0);
	for (unsigned a = 1; a < 256; a++)
		ck_assert_uint_eq(cof_gf256_mul((uint8_t)a, cof_gf256_inv((uint8_t)a)), 1);
}
END_TEST

/* ---- schemes ---- */

struct made {
	struct cof_slip39_scheme scheme;
	struct cof_slip39_share *share;
	size_t n;
};

static struct made make(struct cof_slip39_scheme s, const uint8_t *secret, size_t len, const char *passphrase)
{
	struct made m = {.scheme = s, .n = cof_slip39_count(&s)};
	struct cof_diag diag = {""};

	m.share = cof_secret_alloc(m.n * sizeof(*m.share));
	ck_assert_ptr_nonnull(m.share);
	ck_assert_msg(cof_slip39_split(&s, secret, len, passphrase, m.share, &diag) == 0, "%s", diag.text);
	return m;
}

static int from_subset(const struct made *m, uint32_t set, const char *passphrase, uint8_t *ret, size_t *ret_n)
{
	struct cof_slip39_session *s = NULL;
	enum cof_slip39_added added;
	int r;

	ck_assert_int_eq(cof_slip39_session_new(&s), 0);
	for (size_t i = m->n; i-- > 0;)
		if (set >> i & 1)
			ck_assert_int_eq(cof_slip39_session_add(s, &m->share[i], &added, NULL), 0);
	r = cof_slip39_session_recover(s, passphrase, ret, ret_n, NULL);
	cof_slip39_session_free(s);
	return r;
}

static bool suffices(const struct made *m, uint32_t set)
{
	unsigned have[COF_SLIP39_GROUPS] = {0}, complete = 0;

	for (size_t i = 0; i < m->n; i++)
		have[m->share[i].group] += set >> i & 1;
	for (unsigned g = 0; g < m->scheme.n_groups; g++)
		complete += have[g] >= m->scheme.group[g].threshold;
	return complete >= m->scheme.threshold;
}

/* Every subset: those that suffice give the secret, the others nothing. */
START_TEST(all_subsets)
{
	static const struct cof_slip39_scheme schemes[] = {
	    {.threshold = 1, .n_groups = 1, .group = {{1, 1}}},
	    {.threshold = 1, .n_groups = 1, .group = {{2, 3}}},
	    {.threshold = 1, .n_groups = 1, .group = {{3, 5}}},
	    {.threshold = 2, .n_groups = 2, .group = {{1, 1}, {2, 3}}},
	    {.threshold = 2, .n_groups = 3, .group = {{2, 2}, {2, 3}, {1, 1}}},
	    {.threshold = 3, .n_groups = 3, .group = {{1, 1}, {1, 1}, {3, 4}}},
	};
	const struct cof_slip39_scheme *s = &schemes[_i];
	size_t len = _i % 2 ? 16 : 32;
	struct made m = make(*s, secret32, len, "");
	cof_autosecret uint8_t *got = cof_secret_alloc(COF_SLIP39_SECRET_MAX);
	unsigned good = 0;

	for (uint32_t set = 1; set < 1u << m.n; set++) {
		size_t n = 0;
		int r = from_subset(&m, set, "", got, &n);

		if (!suffices(&m, set)) {
			ck_assert_int_eq(r, -EAGAIN);
			continue;
		}
		ck_assert_int_eq(r, 0);
		ck_assert_uint_eq(n, len);
		ck_assert_mem_eq(got, secret32, len);
		good++;
	}
	ck_assert_uint_ge(good, 1);
	cof_secret_free(m.share);
}
END_TEST

START_TEST(words_round)
{
	struct made m = make((struct cof_slip39_scheme){.threshold = 1, .n_groups = 1, .group = {{2, 3}}}, secret32, 32, "");
	cof_autosecret struct cof_slip39_share *back = cof_secret_alloc(sizeof(*back));
	char text[COF_SLIP39_TEXT], brief[COF_SLIP39_TEXT];
	size_t at = 0;

	ck_assert_int_eq(cof_slip39_write(&m.share[1], text), 0);
	ck_assert_int_eq(cof_slip39_read(text, strlen(text), back, NULL), 0);
	ck_assert_mem_eq(back, &m.share[1], sizeof(*back));
	/* Numbered, in upper case, four letters of each: as they are typed from a sheet. */
	for (char *word = strtok(text, " "); word; word = strtok(NULL, " "))
		at += (size_t)snprintf(brief + at, sizeof(brief) - at, "%.4s\n", word);
	for (char *c = brief; *c; c++)
		*c = *c >= 'a' ? (char)(*c - 32) : *c;
	ck_assert_int_eq(cof_slip39_read(brief, strlen(brief), back, NULL), 0);
	ck_assert_mem_eq(back, &m.share[1], sizeof(*back));
	cof_secret_free(m.share);
}
END_TEST

/* Each change of one word, and each exchange of two neighbours, is caught. */
START_TEST(each_wrong_word)
{
	struct made m = make((struct cof_slip39_scheme){.threshold = 1, .n_groups = 1, .group = {{2, 2}}}, secret32, 16, "");
	cof_autosecret struct cof_slip39_share *back = cof_secret_alloc(sizeof(*back));
	char text[COF_SLIP39_TEXT], wrong[COF_SLIP39_TEXT + 16];
	const char *words[COF_SLIP39_WORDS];
	size_t n = 0;

	ck_assert_int_eq(cof_slip39_write(&m.share[0], text), 0);
	for (char *w = strtok(text, " "); w; w = strtok(NULL, " "))
		words[n++] = w;
	ck_assert_uint_eq(n, 20);
	for (size_t i = 0; i < n; i++)
		for (unsigned other = 0; other < COF_SLIP39_LIST; other++) {
			size_t at = 0;

			if (!strcmp(words[i], cof_slip39_word(other)))
				continue;
			for (size_t k = 0; k < n; k++)
				at += (size_t)snprintf(wrong + at, sizeof(wrong) - at, "%s ", k == i ? cof_slip39_word(other) : words[k]);
			ck_assert_int_eq(cof_slip39_read(wrong, at, back, NULL), -EUCLEAN);
		}
	cof_secret_free(m.share);
}
END_TEST

START_TEST(hints)
{
	struct cof_slip39_share share;
	struct cof_diag diag = {""};
	const char *text = "duckling enlarge academic acadamic agency";
	unsigned near[4];

	ck_assert_int_eq(cof_slip39_read(text, strlen(text), &share, &diag), -EUCLEAN);
	ck_assert_ptr_nonnull(strstr(diag.text, "word 4"));
	ck_assert_ptr_null(strstr(diag.text, "acadamic")); /* what was typed may be half a secret */
	ck_assert_ptr_null(strstr(diag.text, "academic")); /* and what is near to it as well: that is said at a terminal only */
	ck_assert_uint_ge(cof_slip39_near("acadamic", 8, near, COF_COUNT(near)), 1);
	ck_assert_str_eq(cof_slip39_word(near[0]), "academic");
	ck_assert_int_eq(cof_slip39_index("ACID", 4), cof_slip39_index("acid", 4));
	ck_assert_int_eq(cof_slip39_index("aca", 3), -ENOENT);
	ck_assert_int_eq(cof_slip39_index("academics", 9), -ENOENT);
}
END_TEST

/* ---- what goes wrong ---- */

START_TEST(wrong_share_is_named)
{
	struct made m = make((struct cof_slip39_scheme){.threshold = 1, .n_groups = 1, .group = {{3, 5}}}, secret32, 32, "");
	cof_autosecret uint8_t *got = cof_secret_alloc(COF_SLIP39_SECRET_MAX);
	struct cof_slip39_session *s = NULL;
	enum cof_slip39_added added;
	struct cof_diag diag = {""};
	size_t n = 0;

	m.share[1].value[7] ^= 1;
	ck_assert_int_eq(cof_slip39_session_new(&s), 0);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(cof_slip39_session_add(s, &m.share[i], &added, NULL), 0);
	ck_assert_int_eq(added, COF_SLIP39_TAKEN);
	ck_assert_int_eq(cof_slip39_session_recover(s, "", got, &n, &diag), -EBADMSG);
	ck_assert_ptr_nonnull(strstr(diag.text, "further share"));
	ck_assert_int_eq(cof_slip39_session_add(s, &m.share[3], &added, NULL), 0);
	ck_assert_int_eq(added, COF_SLIP39_SURPLUS);
	ck_assert_int_eq(cof_slip39_session_recover(s, "", got, &n, &diag), -EBADMSG);
	ck_assert_ptr_nonnull(strstr(diag.text, "member 2 is wrong"));
	cof_slip39_session_free(s);
	cof_secret_free(m.share);
}
END_TEST

START_TEST(foreign_shares)
{
	struct cof_slip39_scheme scheme = {.threshold = 1, .n_groups = 1, .group = {{2, 3}}};
	struct made a = make(scheme, secret32, 32, ""), b = make(scheme, secret32, 32, "");
	struct cof_slip39_session *s = NULL;
	enum cof_slip39_added added;
	struct cof_diag diag = {""};

	ck_assert_int_eq(cof_slip39_session_new(&s), 0);
	ck_assert_int_eq(cof_slip39_session_add(s, &a.share[0], &added, &diag), 0);
	ck_assert_int_eq(cof_slip39_session_add(s, &a.share[0], &added, &diag), 0);
	ck_assert_int_eq(added, COF_SLIP39_DUPLICATE);
	b.share[1].id = (uint16_t)(a.share[0].id ^ 1);
	ck_assert_int_eq(cof_slip39_session_add(s, &b.share[1], &added, &diag), -EINVAL);
	ck_assert_ptr_nonnull(strstr(diag.text, "identifier"));
	b.share[0].id = a.share[0].id;
	ck_assert_int_eq(cof_slip39_session_add(s, &b.share[0], &added, &diag), -EINVAL);
	ck_assert_ptr_nonnull(strstr(diag.text, "other words"));
	a.share[1].member_threshold = 3;
	ck_assert_int_eq(cof_slip39_session_add(s, &a.share[1], &added, &diag), -EINVAL);
	cof_slip39_session_free(s);
	cof_secret_free(a.share);
	cof_secret_free(b.share);
}
END_TEST

START_TEST(passphrases)
{
	struct made m = make((struct cof_slip39_scheme){.threshold = 1, .n_groups = 1, .group = {{1, 1}}, .exponent = 1}, secret32, 32, "right");
	cof_autosecret uint8_t *got = cof_secret_alloc(COF_SLIP39_SECRET_MAX);
	struct cof_diag diag = {""};
	size_t n = 0;

	ck_assert_int_eq(from_subset(&m, 1, "right", got, &n), 0);
	ck_assert_mem_eq(got, secret32, 32);
	ck_assert_int_eq(from_subset(&m, 1, "wrong", got, &n), 0); /* by design nothing shows */
	ck_assert_mem_ne(got, secret32, 32);
	ck_assert_int_eq(cof_slip39_split(&m.scheme, secret32, 32, "\xc3\xa9", m.share, &diag), -EINVAL);
	ck_assert_ptr_nonnull(strstr(diag.text, "ASCII"));
	cof_secret_free(m.share);
}
END_TEST

START_TEST(bad_schemes)
{
	static const struct cof_slip39_scheme bad[] = {
	    {.threshold = 1, .n_groups = 0},
	    {.threshold = 2, .n_groups = 1, .group = {{1, 1}}},
	    {.threshold = 1, .n_groups = 1, .group = {{3, 2}}},
	    {.threshold = 1, .n_groups = 1, .group = {{1, 2}}},
	    {.threshold = 1, .n_groups = 1, .group = {{2, 17}}},
	    {.threshold = 1, .n_groups = 17},
	    {.threshold = 1, .n_groups = 1, .group = {{1, 1}}, .exponent = 16},
	};
	struct cof_diag diag;

	for (size_t i = 0; i < COF_COUNT(bad); i++) {
		diag.text[0] = 0;
		ck_assert_int_eq(cof_slip39_scheme_check(&bad[i], &diag), -EINVAL);
		ck_assert(diag.text[0]);
	}
}
END_TEST

START_TEST(commitments)
{
	struct made m = make((struct cof_slip39_scheme){.threshold = 1, .n_groups = 1, .group = {{2, 2}}}, secret32, 32, "");
	uint8_t a[32], b[32], again[32];

	ck_assert_int_eq(cof_slip39_commitment(&m.share[0], a), 0);
	ck_assert_int_eq(cof_slip39_commitment(&m.share[1], b), 0);
	ck_assert_int_eq(cof_slip39_commitment(&m.share[0], again), 0);
	ck_assert_mem_eq(a, again, 32);
	ck_assert_mem_ne(a, b, 32);
	cof_secret_free(m.share);
}
END_TEST

TCase *slip39_case(void)
{
	TCase *t = tcase_create("slip39");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, foreign_vectors);
	tcase_add_test(t, field);
	tcase_add_loop_test(t, all_subsets, 0, 6);
	tcase_add_test(t, words_round);
	tcase_add_test(t, each_wrong_word);
	tcase_add_test(t, hints);
	tcase_add_test(t, wrong_share_is_named);
	tcase_add_test(t, foreign_shares);
	tcase_add_test(t, passphrases);
	tcase_add_test(t, bad_schemes);
	tcase_add_test(t, commitments);
	return t;
}

TCase *slip39_official_case(void)
{
	TCase *t = tcase_create("official");

	tcase_add_test(t, official_vectors);
	return t;
}
