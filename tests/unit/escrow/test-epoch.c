/* SPDX-License-Identifier: Apache-2.0 */
/* Epochs: made, put down, confirmed, and brought together again by those who suffice, and by nobody else. */
#include "test-escrow.h"

#include "crypto/crypto.h"
#include "escrow/epoch.h"

#include <stdio.h>

struct made {
	struct cof_epoch epoch;
	struct cof_epoch_shares *shares;
};

/* "2 2/3 1/1 3/4": groups that suffice, then threshold and members of each. */
static void scheme_text(const char *brief, struct cof_buf *ret)
{
	cof_autofree char *copy = strdup(brief);
	char *save = NULL, *word = strtok_r(copy, " ", &save);
	unsigned g = 0, c = 0;

	cof_buf_printf(ret, "[scheme]\nname = test\ngroups = %s\n", word);
	while ((word = strtok_r(NULL, " ", &save)) != NULL) {
		unsigned threshold = 0, members = 0;

		ck_assert_int_eq(sscanf(word, "%u/%u", &threshold, &members), 2);
		cof_buf_printf(ret, "[group g%u]\nthreshold = %u\nmembers =", g++, threshold);
		for (unsigned i = 0; i < members; i++)
			cof_buf_printf(ret, " c%u", c + i);
		for (unsigned i = 0; i < members; i++, c++)
			cof_buf_printf(ret, "\n[custodian c%u]\nperson = P%u\nplace = L%u\nmedium = paper\nrecipient = paper\n", c, c, c);
	}
}

static struct made make(const char *brief, const char *passphrase)
{
	struct cof_epoch_order order = {.number = 1, .created = 1767323045678LL * 1000000, .passphrase = passphrase};
	cof_autobuf struct cof_buf text = {0};
	struct cof_diag diag = {""};
	struct made m;

	scheme_text(brief, &text);
	ck_assert_msg(cof_epoch_make((char *)text.data, text.len, &order, &m.epoch, &m.shares, &diag) == 0, "%s", diag.text);
	return m;
}

static void done(struct made *m)
{
	cof_epoch_done(&m->epoch);
	cof_epoch_shares_free(m->shares);
}

static int add(struct cof_epoch_session *s, const char *words, enum cof_slip39_added *added, struct cof_diag *diag)
{
	return cof_epoch_session_add(s, words, strlen(words), added, NULL, diag);
}

/* Whether the secret is that of the recipient. */
static void check_secret(const struct made *m, const uint8_t *secret)
{
	uint8_t public_key[32];
	char recipient[COF_AGE_RECIPIENT];

	ck_assert_int_eq(cof_x25519_public(secret, public_key), 0);
	cof_age_recipient_text(public_key, recipient);
	ck_assert_str_eq(recipient, m->epoch.recipient);
}

static bool suffices(const struct made *m, uint32_t set)
{
	bool lost[COF_CUSTODIANS_MAX];

	for (unsigned i = 0; i < m->epoch.scheme.n_custodians; i++)
		lost[i] = !(set >> i & 1);
	return cof_scheme_suffices(&m->epoch.scheme, lost);
}

/* Shares from the last to the first on even turns, else from the first. */
static int from_subset(const struct made *m, uint32_t set, uint8_t *secret)
{
	unsigned n = m->epoch.scheme.n_custodians;
	struct cof_epoch_session *s = NULL;
	cof_autobuf struct cof_buf missing = {0};
	struct cof_epoch_progress p;
	enum cof_slip39_added added;
	int r;

	ck_assert_int_eq(cof_epoch_session_new(&m->epoch, &s), 0);
	for (unsigned k = 0; k < n; k++) {
		unsigned i = set % 2 ? k : n - 1 - k;

		if (set >> i & 1)
			ck_assert_int_eq(add(s, cof_epoch_words(m->shares, i), &added, NULL), 0);
	}
	cof_epoch_session_progress(s, &p);
	cof_epoch_session_missing(s, &missing);
	ck_assert_int_eq(p.ready, missing.len == 0);
	r = cof_epoch_session_secret(s, "", secret, NULL);
	if (r == 0) /* nothing is left of the shares */
		ck_assert_int_eq(cof_epoch_session_secret(s, "", secret + 32, NULL), -EAGAIN);
	cof_epoch_session_free(s);
	return r;
}

static const char *const schemes[] = {"1 2/3", "1 3/5", "2 1/1 2/3", "2 2/2 2/3 1/1", "3 1/1 1/1 3/4", "2 1/1 1/1 1/1 1/1", "1 2/2 3/4",
				      "2 3/4 2/4"};

/* Every subset: the minimal ones and what holds one give the secret; nothing less ever does. */
START_TEST(all_subsets)
{
	struct made m = make(schemes[_i], NULL);
	cof_autosecret uint8_t *secret = cof_secret_alloc(64);
	unsigned good = 0;

	ck_assert(m.epoch.tried);
	for (uint32_t set = 0; set < 1u << m.epoch.scheme.n_custodians; set++) {
		int r = from_subset(&m, set, secret);

		ck_assert_int_eq(r, suffices(&m, set) ? 0 : -EAGAIN);
		if (r < 0)
			continue;
		check_secret(&m, secret);
		cof_wipe(secret, 64);
		good++;
	}
	ck_assert_uint_ge(good, 1);
	done(&m);
}
END_TEST

/* ---- the document ---- */

START_TEST(document_round)
{
	struct made m = make("2 2/3 1/1", NULL);
	cof_autobuf struct cof_buf a = {0}, b = {0};
	struct cof_epoch again;
	struct cof_diag diag = {""};

	ck_assert_int_eq(cof_epoch_write(&m.epoch, &a), 0);
	ck_assert_msg(cof_epoch_parse(a.data, a.len, &again, &diag) == 0, "%s", diag.text);
	ck_assert_int_eq(cof_epoch_write(&again, &b), 0);
	ck_assert_str_eq((char *)a.data, (char *)b.data);
	ck_assert(!cof_epoch_valid(&again));
	ck_assert_int_eq(cof_epoch_find(&again, "c2"), 2);
	ck_assert_int_eq(cof_epoch_find(&again, "c9"), -ENOENT);
	ck_assert_int_eq(cof_epoch_holder_of(&again, 1, 0), 3);
	ck_assert_int_eq(cof_epoch_holder_of(&again, 1, 1), -ENOENT);
	for (unsigned i = 0; i < 4; i++) /* nothing of a share is in it */
		ck_assert_ptr_null(strstr((char *)a.data, cof_epoch_words(m.shares, i)));
	cof_epoch_done(&again);
	done(&m);
}
END_TEST

static void refused(const char *text, const char *from, const char *to, const char *why)
{
	const char *at = strstr(text, from);
	cof_autobuf struct cof_buf b = {0};
	struct cof_diag diag = {""};
	struct cof_epoch e;

	ck_assert_ptr_nonnull(at);
	cof_buf_add(&b, text, (size_t)(at - text));
	cof_buf_add(&b, to, strlen(to));
	cof_buf_add(&b, at + strlen(from), strlen(at + strlen(from)));
	ck_assert_msg(cof_epoch_parse(b.data, b.len, &e, &diag) == -EUCLEAN, "%s", to);
	ck_assert_msg(strstr(diag.text, why) != NULL, "%s", diag.text);
}

START_TEST(document_refused)
{
	struct made m = make("1 2/3", NULL);
	cof_autobuf struct cof_buf a = {0};
	const char *t;

	ck_assert_int_eq(cof_epoch_write(&m.epoch, &a), 0);
	t = (char *)a.data;
	refused(t, "coffer-epoch/1", "coffer-epoch/2", "format");
	refused(t, "\"valid\":false", "\"valid\":true", "contradicts");
	refused(t, "\"epoch\":1", "\"epoch\":0", "range");
	refused(t, "\"epoch\":1", "\"epoch\": 1", "contradicts");
	refused(t, "\"epoch\":1", "\"epoch\":1,\"extra\":1", "contradicts");
	refused(t, "age1", "age2", "recipient");
	refused(t, "\"member\":1", "\"member\":2", "contradicts");
	refused(t, "\"name\":\"c0\"", "\"name\":\"c1\"", "contradicts");
	refused(t, "threshold = 2", "threshold = 4", "");
	refused(t, "2026-01-02", "2026-02-31", "");
	refused(t, "\"custodians\":[", "\"custodians\":[1,", "scheme");
	refused(t, "\"commitment\":\"", "\"challenge\":\"confirm-aaaa-aaaa-aaaa-aaaa-aaaa-aaaa\",\"commitment\":\"", "without its proof");
	done(&m);
}
END_TEST

/* ---- proofs ---- */

static void prove(const struct made *m, unsigned holder, const char *challenge, char proof[COF_PROOF_TEXT])
{
	cof_autosecret struct cof_slip39_share *share = cof_secret_alloc(sizeof(*share));
	const char *words = cof_epoch_words(m->shares, holder);

	ck_assert_int_eq(cof_slip39_read(words, strlen(words), share, NULL), 0);
	ck_assert_int_eq(cof_proof_make(share, challenge, proof), 0);
}

START_TEST(confirmed_by_all)
{
	struct made m = make("1 2/3", NULL);
	char challenge[COF_PROOF_CHALLENGE], drill[COF_PROOF_CHALLENGE], proof[COF_PROOF_TEXT];
	cof_autobuf struct cof_buf a = {0};
	struct cof_epoch again;
	struct cof_diag diag = {""};

	for (unsigned i = 0; i < 3; i++) {
		ck_assert(!cof_epoch_valid(&m.epoch));
		cof_proof_challenge(COF_PROOF_CONFIRM, challenge);
		ck_assert(cof_proof_challenge_ok(challenge, NULL));
		prove(&m, (i + 1) % 3, challenge, proof);
		ck_assert_int_eq(cof_epoch_confirm(&m.epoch, i, challenge, proof, &diag), -EBADMSG);
		cof_proof_challenge(COF_PROOF_DRILL, drill);
		prove(&m, i, drill, proof);
		ck_assert_int_eq(cof_epoch_confirm(&m.epoch, i, drill, proof, &diag), -EINVAL);
		ck_assert_int_eq(cof_epoch_confirm(&m.epoch, i, challenge, proof, &diag), -EBADMSG);
		prove(&m, i, challenge, proof);
		ck_assert_int_eq(cof_epoch_confirm(&m.epoch, i, challenge, "AAAA", &diag), -EINVAL);
		ck_assert_int_eq(cof_epoch_confirm(&m.epoch, i, challenge, proof, &diag), 0);
	}
	ck_assert(cof_epoch_valid(&m.epoch));
	ck_assert_int_eq(cof_epoch_write(&m.epoch, &a), 0);
	ck_assert_msg(cof_epoch_parse(a.data, a.len, &again, &diag) == 0, "%s", diag.text);
	ck_assert(cof_epoch_valid(&again));
	cof_epoch_done(&again);
	m.epoch.holder[1].proof[5] ^= 1; /* a proof that is none */
	cof_buf_done(&a);
	ck_assert_int_eq(cof_epoch_write(&m.epoch, &a), 0);
	ck_assert_int_eq(cof_epoch_parse(a.data, a.len, &again, &diag), -EUCLEAN);
	done(&m);
}
END_TEST

START_TEST(challenges)
{
	ck_assert(cof_proof_challenge_ok("drill-abcd-efgh-2345-abcd-efgh-2345", "drill"));
	ck_assert(!cof_proof_challenge_ok("drill-abcd-efgh-2345-abcd-efgh-2345", "confirm"));
	ck_assert(!cof_proof_challenge_ok("drill-abcd-efgh-2345-abcd-efgh-2345", "drills"));
	ck_assert(!cof_proof_challenge_ok("drill-abcd-efgh-2345-abcd-efgh", NULL));
	ck_assert(!cof_proof_challenge_ok("drill-abcd-efgh-2345-abcd-efgh-234", NULL));
	ck_assert(!cof_proof_challenge_ok("drill-abcd-efgh-2345-abcd-efgh-2340", NULL));
	ck_assert(!cof_proof_challenge_ok("drill-abcd-efgh-2345-abcd-efgh-23456", NULL));
	ck_assert(!cof_proof_challenge_ok("drill-abcd-efgh-2345-abcd-efgh-2345\n", NULL));
	ck_assert(!cof_proof_challenge_ok("-abcd-efgh-2345-abcd-efgh-2345", NULL));
	ck_assert(!cof_proof_challenge_ok("", NULL));
}
END_TEST

/* ---- custodians who are wrong ---- */

/* Fits in every number and in its checksum, and is another one. */
START_TEST(forged_share_is_named)
{
	struct made m = make("2 2/3 1/1", NULL);
	cof_autosecret struct cof_slip39_share *share = cof_secret_alloc(sizeof(*share));
	cof_autosecret uint8_t *secret = cof_secret_alloc(32);
	char forged[COF_SLIP39_TEXT];
	struct cof_epoch_session *s = NULL;
	struct cof_epoch_progress p;
	enum cof_slip39_added added;
	struct cof_diag diag = {""};
	unsigned holder = 99;

	ck_assert_int_eq(cof_epoch_session_new(&m.epoch, &s), 0);
	for (unsigned i = 0; i < 4; i++) {
		const char *words = cof_epoch_words(m.shares, i);
		char name[16];

		ck_assert_int_eq(cof_slip39_read(words, strlen(words), share, NULL), 0);
		share->value[i] ^= 0x10;
		ck_assert_int_eq(cof_slip39_write(share, forged), 0);
		ck_assert_int_eq(cof_epoch_session_add(s, forged, strlen(forged), &added, &holder, &diag), -EKEYREJECTED);
		ck_assert_uint_eq(holder, i);
		snprintf(name, sizeof(name), "that c%u was", i);
		ck_assert_msg(strstr(diag.text, name) != NULL, "%s", diag.text);
		share->value[i] ^= 0x10;
		share->id ^= 1;
		ck_assert_int_eq(cof_slip39_write(share, forged), 0);
		ck_assert_int_eq(cof_epoch_session_add(s, forged, strlen(forged), &added, &holder, &diag), -EINVAL);
	}
	cof_epoch_session_progress(s, &p);
	ck_assert_uint_eq(p.have[0] + p.have[1], 0);
	/* They did no harm. */
	ck_assert_int_eq(add(s, cof_epoch_words(m.shares, 3), &added, NULL), 0);
	ck_assert_int_eq(add(s, cof_epoch_words(m.shares, 0), &added, NULL), 0);
	ck_assert_int_eq(add(s, cof_epoch_words(m.shares, 0), &added, NULL), 0);
	ck_assert_int_eq(added, COF_SLIP39_DUPLICATE);
	ck_assert_int_eq(cof_epoch_session_secret(s, NULL, secret, NULL), -EAGAIN);
	ck_assert_int_eq(add(s, cof_epoch_words(m.shares, 2), &added, NULL), 0);
	ck_assert_int_eq(added, COF_SLIP39_TAKEN);
	ck_assert_int_eq(add(s, cof_epoch_words(m.shares, 1), &added, NULL), 0);
	ck_assert_int_eq(added, COF_SLIP39_SURPLUS);
	cof_epoch_session_progress(s, &p);
	ck_assert_uint_eq(p.have[0], 2);
	ck_assert(!p.given[1]);
	ck_assert_int_eq(cof_epoch_session_secret(s, NULL, secret, NULL), 0);
	check_secret(&m, secret);
	cof_epoch_session_free(s);
	done(&m);
}
END_TEST

/* Each single word of a share of an epoch exchanged for each other one, and each pair of neighbours. */
START_TEST(each_wrong_word)
{
	struct made m = make("1 2/2", NULL);
	char words[COF_SLIP39_TEXT], wrong[COF_SLIP39_TEXT + 16];
	const char *word[COF_SLIP39_WORDS];
	struct cof_epoch_session *s = NULL;
	enum cof_slip39_added added;
	unsigned n = 0;

	ck_assert_int_eq(cof_epoch_session_new(&m.epoch, &s), 0);
	strcpy(words, cof_epoch_words(m.shares, 0));
	for (char *save = NULL, *w = strtok_r(words, " ", &save); w; w = strtok_r(NULL, " ", &save))
		word[n++] = w;
	ck_assert_uint_eq(n, 33);
	for (unsigned i = 0; i < n; i++)
		for (unsigned other = 0; other < COF_SLIP39_LIST; other++) {
			size_t at = 0;

			if (!strcmp(word[i], cof_slip39_word(other)))
				continue;
			for (unsigned k = 0; k < n; k++)
				at += (size_t)snprintf(wrong + at, sizeof(wrong) - at, "%s ", k == i ? cof_slip39_word(other) : word[k]);
			ck_assert_int_eq(cof_epoch_session_add(s, wrong, at, &added, NULL, NULL), -EUCLEAN);
		}
	cof_epoch_session_free(s);
	done(&m);
}
END_TEST

START_TEST(missing_is_told)
{
	struct made m = make("2 2/3 1/1", NULL);
	struct cof_epoch_session *s = NULL;
	cof_autobuf struct cof_buf b = {0}, again = {0};
	enum cof_slip39_added added;

	ck_assert_int_eq(cof_epoch_session_new(&m.epoch, &s), 0);
	cof_epoch_session_missing(s, &b);
	ck_assert_str_eq((char *)b.data, "group g0 needs 2 more: of c0, c1, c2; group g1 needs 1 more: of c3");
	ck_assert_int_eq(add(s, cof_epoch_words(m.shares, 1), &added, NULL), 0);
	ck_assert_int_eq(add(s, cof_epoch_words(m.shares, 3), &added, NULL), 0);
	cof_epoch_session_missing(s, &again);
	ck_assert_str_eq((char *)again.data, "group g0 needs 1 more: of c0, c2");
	cof_epoch_session_free(s);
	done(&m);
}
END_TEST

START_TEST(passphrase_shows)
{
	struct made m = make("1 2/2", "right");
	cof_autosecret uint8_t *secret = cof_secret_alloc(32);
	struct cof_epoch_session *s = NULL;
	enum cof_slip39_added added;
	struct cof_diag diag = {""};

	ck_assert(m.epoch.passphrase);
	ck_assert_int_eq(cof_epoch_session_new(&m.epoch, &s), 0);
	for (unsigned i = 0; i < 2; i++)
		ck_assert_int_eq(add(s, cof_epoch_words(m.shares, i), &added, NULL), 0);
	ck_assert_int_eq(cof_epoch_session_secret(s, "wrong", secret, &diag), -EKEYREJECTED);
	ck_assert_ptr_nonnull(strstr(diag.text, "passphrase"));
	ck_assert_int_eq(cof_epoch_session_secret(s, NULL, secret, &diag), -EKEYREJECTED);
	ck_assert_int_eq(cof_epoch_session_secret(s, "right", secret, &diag), 0);
	check_secret(&m, secret);
	cof_epoch_session_free(s);
	done(&m);
}
END_TEST

/* ---- making ---- */

static void count(void *user, uint64_t at, uint64_t total)
{
	uint64_t *last = user;

	ck_assert_uint_gt(at, last[0]);
	ck_assert_uint_le(at, total);
	last[0] = at;
	last[1] = total;
}

START_TEST(every_minimal_subset_is_tried)
{
	uint64_t last[2] = {0, 0};
	struct cof_epoch_order order = {.number = 7, .progress = count, .user = last};
	cof_autobuf struct cof_buf text = {0};
	struct cof_epoch e;
	struct cof_epoch_shares *shares = NULL;

	scheme_text("2 8/12 3/5 1/1", &text);
	ck_assert_int_eq(cof_epoch_make((char *)text.data, text.len, &order, &e, &shares, NULL), 0);
	ck_assert_uint_eq(last[0], 495 + 10 + 1 + 3);
	ck_assert_uint_eq(last[1], last[0]);
	cof_epoch_forget(shares, 3);
	ck_assert_ptr_null(cof_epoch_words(shares, 3));
	ck_assert_ptr_nonnull(cof_epoch_words(shares, 4));
	cof_epoch_done(&e);
	cof_epoch_shares_free(shares);
}
END_TEST

START_TEST(shares_for_recipients)
{
	static const char text[] = "[scheme]\nname = r\ngroups = 1\n[group x]\nthreshold = 2\nmembers = a b\n"
				   "[custodian a]\nperson = A\nplace = p\nmedium = disk\nrecipient = %s\n"
				   "[custodian b]\nperson = B\nplace = q\nmedium = paper\nrecipient = paper\n";
	struct cof_epoch_order order = {.number = 1};
	cof_autobuf struct cof_buf scheme = {0}, bad = {0}, file = {0};
	struct cof_epoch e;
	struct cof_epoch_shares *shares = NULL;
	struct cof_diag diag = {""};
	uint8_t identity[1][COF_AGE_KEY], public_key[COF_AGE_KEY];
	char recipient[COF_AGE_RECIPIENT];
	void *plain = NULL;
	size_t n = 0;

	cof_random(identity, sizeof(identity));
	ck_assert_int_eq(cof_x25519_public(identity[0], public_key), 0);
	cof_age_recipient_text(public_key, recipient);
	cof_buf_printf(&bad, text, "age1nothing");
	ck_assert_int_eq(cof_epoch_make((char *)bad.data, bad.len, &order, &e, &shares, &diag), -EINVAL);
	ck_assert_ptr_nonnull(strstr(diag.text, "custodian a"));
	cof_buf_printf(&scheme, text, recipient);
	ck_assert_int_eq(cof_epoch_make((char *)scheme.data, scheme.len, &order, &e, &shares, &diag), 0);
	ck_assert_int_eq(cof_epoch_seal_share(&e, shares, 1, &file), -ENOENT);
	ck_assert_int_eq(cof_epoch_seal_share(&e, shares, 0, &file), 0);
	ck_assert_int_eq(cof_age_decrypt((const uint8_t(*)[COF_AGE_KEY])identity, 1, file.data, file.len, &plain, &n), 0);
	ck_assert_uint_eq(n, strlen(cof_epoch_words(shares, 0)) + 1);
	ck_assert_mem_eq(plain, cof_epoch_words(shares, 0), n - 1);
	cof_secret_free(plain);
	cof_epoch_done(&e);
	cof_epoch_shares_free(shares);
}
END_TEST

TCase *epoch_case(void)
{
	TCase *t = tcase_create("epoch");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, all_subsets, 0, COF_COUNT(schemes));
	tcase_add_test(t, document_round);
	tcase_add_test(t, document_refused);
	tcase_add_test(t, confirmed_by_all);
	tcase_add_test(t, challenges);
	tcase_add_test(t, forged_share_is_named);
	tcase_add_test(t, each_wrong_word);
	tcase_add_test(t, missing_is_told);
	tcase_add_test(t, passphrase_shows);
	tcase_add_test(t, every_minimal_subset_is_tried);
	tcase_add_test(t, shares_for_recipients);
	return t;
}
