/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coffer escrow revoke, enroll and destroyed: a key, an epoch or a custodian that is of no use any more, a new custodian, and
 * a share that is no more. The first two are proposals, which count once they were approved.
 */
#include "tools/coffer.h"
#include "tools/escrow-ledger.h"
#include "tools/escrow-request.h"
#include "tools/escrow-tpm.h"
#include "tools/file.h"
#include "tools/output.h"

#include <getopt.h>
#include <stdio.h>

#define DETAILS_MAX 4096

enum { OPT_REASON, OPT_AS, OPT_KEY, OPT_DIR, OPT_P256 };
#define OPTIONS                                                                                                     \
	[OPT_REASON] = {"reason", "TEXT", "why; in the record, encrypted, and in the sheet"},                        \
	[OPT_AS] = {"as", "NAME", "makes the request for it too: who does, as in the people file"},                  \
	[OPT_KEY] = {"key", "FILE", "signs and submits it with this key of ssh", true},                              \
	[OPT_DIR] = {"dir", "DIR", "where the request's document and sheet go (here)", true}

static const struct tool_option options[] = {OPTIONS, {0}};
static const struct tool_option enroll_options[] = {
    OPTIONS,
    [OPT_P256] = {"p256", NULL, "FILE is the public key of P-256 with which the custodian signs for a TPM"},
    {0},
};
static const struct tool_option destroyed_options[] = {
    [OPT_REASON] = {"reason", "TEXT", "how, and who saw it; in the record, encrypted"},
    {0},
};

struct changing {
	struct escrow_shelf shelf;
	struct escrow_asking ask;
	struct ledger ledger;
	bool p256;
};

static int take(void *user, int option)
{
	struct changing *c = user;

	if (option >= OPTION_MORE)
		return opener_take(&c->shelf.ask.opener, option);
	if (option == OPT_P256) {
		c->p256 = true;
		return EXIT_OK;
	}
	*(option == OPT_REASON ? &c->ask.reason : option == OPT_AS ? &c->ask.as : option == OPT_KEY ? &c->ask.key : &c->ask.dir) = optarg;
	return EXIT_OK;
}

/* ---- what old shares still open ---- */

/* Shares of an epoch that nobody said are destroyed. */
static int say_open(struct changing *c, const struct ledger_epoch *e, const char *custodian, struct cof_diag *diag)
{
	struct cof_epoch doc = {0};
	bool has = !custodian, lost[COF_CUSTODIANS_MAX] = {false};
	unsigned keys = escrow_ledger_keys(&c->ledger, e->epoch_key);
	int r = escrow_ledger_document_of(&c->shelf, e, &doc, diag);

	if (r < 0)
		return r;
	for (unsigned i = 0; custodian && i < doc.scheme.n_custodians; i++)
		has |= !strcmp(doc.scheme.custodian[i].name, custodian) && !escrow_ledger_destroyed(&c->ledger, e, custodian);
	for (unsigned i = 0; i < doc.scheme.n_custodians; i++)
		lost[i] = escrow_ledger_destroyed(&c->ledger, e, doc.scheme.custodian[i].name);
	if (has && !cof_scheme_suffices(&doc.scheme, lost)) {
		printf("Epoch %u: so many of its shares were destroyed, as was said, that the rest opens nothing.\n", e->number);
	} else if (has) {
		printf("Epoch %u, %u key%s now and what was rotated away from it: its shares still open them, %u persons at the fewest. Held by",
		       e->number, keys, plural(keys), cof_scheme_fewest(&doc.scheme));
		for (unsigned i = 0; i < doc.scheme.n_custodians; i++)
			if (!lost[i])
				printf(" %s", doc.scheme.custodian[i].name);
		printf(".\n");
	}
	cof_epoch_done(&doc);
	return 0;
}

static int say_all_open(struct changing *c, const char *epoch_key, const char *custodian, struct cof_diag *diag)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < c->ledger.n_epochs; i++)
		if (!epoch_key || !strcmp(c->ledger.epoch[i].epoch_key, epoch_key))
			r = say_open(c, &c->ledger.epoch[i], custodian, diag);
	return r;
}

/* ---- revoke ---- */

static struct ledger_epoch *epoch_by_number(const struct ledger *l, const char *text)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);

	return *text && !*end && v <= UINT32_MAX ? escrow_ledger_epoch_numbered(l, (uint32_t)v) : NULL;
}

static int revoke_key(struct changing *c, const char *id, struct cof_json *record, struct cof_diag *diag)
{
	struct ledger_key *k = NULL;
	int r = escrow_ledger_find(&c->ledger, id, &k, diag);

	if (r < 0 || !k)
		return r;
	cof_json_set_str(record, "proposes", "revoked");
	cof_json_set_str(record, "key", k->id);
	r = escrow_propose(&c->shelf, &c->ask, record, diag);
	if (r == 0)
		printf("A key that is revoked is not recovered here any more. Its files stay until they are destroyed (coffer request "
		       "retention-end, remove).\n");
	return r == 0 ? say_all_open(c, k->epoch_key, NULL, diag) : r;
}

static int revoke_epoch(struct changing *c, const char *number, struct cof_json *record, struct cof_diag *diag)
{
	struct ledger_epoch *e = epoch_by_number(&c->ledger, number);
	int r;

	if (!e)
		return cof_fail(diag, -ENOENT, "no epoch on this shelf has the number %.20s", number);
	cof_json_set_str(record, "proposes", "revoked");
	cof_json_set_uint(record, "epoch", e->number);
	cof_json_set_str(record, "epoch_key", e->epoch_key);
	r = escrow_propose(&c->shelf, &c->ask, record, diag);
	if (r == 0 && e->keys)
		printf("%u key%s of it %s still here: coffer escrow rotate.\n", e->keys, plural(e->keys), e->keys == 1 ? "is" : "are");
	return r == 0 ? say_all_open(c, e->epoch_key, NULL, diag) : r;
}

static int revoke_custodian(struct changing *c, const char *name, struct cof_json *record, struct cof_diag *diag)
{
	int r;

	cof_json_set_str(record, "proposes", "custodian-revoked");
	cof_json_set_str(record, "name", name);
	r = escrow_propose(&c->shelf, &c->ask, record, diag);
	if (r == 0)
		printf("A share cannot be taken back. What %s can still help to open, until %s has destroyed it (coffer escrow destroyed):\n", name,
		       name);
	return r == 0 ? say_all_open(c, NULL, name, diag) : r;
}

static void set_tpm_key(struct cof_json *record, const char *what, const char *name, const uint8_t point[COF_P256_POINT])
{
	cof_autojson struct cof_json *detail = cof_json_object();
	char digest[2 * COF_HASH + 1], hex[2 * COF_P256_POINT + 1];

	escrow_tpm_digest(point, digest);
	cof_hex(point, COF_P256_POINT, hex);
	cof_json_set_str(detail, "point", hex);
	cof_json_set_str(record, "proposes", what);
	cof_json_set_str(record, "name", name);
	cof_json_set_str(record, "public_key", digest);
	cof_json_set_str(record, "detail", cof_json_text(detail, false));
}

static int revoke_tpm_key(struct changing *c, const char *name, struct cof_json *record, struct cof_diag *diag)
{
	uint8_t point[COF_P256_POINT];
	int r;

	if (!escrow_tpm_key(&c->ledger, name, point))
		return cof_fail(diag, -ENOENT, "no key for a TPM is enrolled for %.64s on this shelf", name);
	set_tpm_key(record, "tpm-key-revoked", name, point);
	r = escrow_propose(&c->shelf, &c->ask, record, diag);
	if (r == 0)
		printf("A TPM that was told of this key goes on to take its signatures, from whoever asks it without this archive, until its epoch "
		       "is ended: coffer escrow tpm-end.\n");
	return r;
}

static int revoke_one(struct changing *c, char **words, struct cof_diag *diag)
{
	cof_autojson struct cof_json *record = cof_json_object();

	if (!strcmp(words[1], "tpm-key"))
		return revoke_tpm_key(c, words[2], record, diag);

	if (!strcmp(words[1], "key"))
		return revoke_key(c, words[2], record, diag);
	if (!strcmp(words[1], "epoch"))
		return revoke_epoch(c, words[2], record, diag);
	return revoke_custodian(c, words[2], record, diag);
}

/* ---- enroll, destroyed ---- */

/* Of the TPM road. The name is that of the quorum's sets. */
static int enroll_tpm_key(struct changing *c, char **words, struct cof_diag *diag)
{
	cof_autojson struct cof_json *record = cof_json_object();
	cof_autobuf struct cof_buf pem = {0};
	uint8_t point[COF_P256_POINT];
	struct cof_diag why = {""};
	int r = file_load(words[2], 8192, &pem, diag);

	if (r < 0)
		return r;
	r = cof_p256_public(pem.data ? (void *)pem.data : "", pem.len, point, &why);
	if (r == 0 && !cof_p256_on_curve(point))
		r = cof_fail(&why, -EUCLEAN, "this is no point of the curve");
	if (r < 0)
		return cof_fail(diag, r, "%s: %s", words[2], why.text);
	set_tpm_key(record, "tpm-key", words[1], point);
	return escrow_propose(&c->shelf, &c->ask, record, diag);
}

static int enroll(struct changing *c, char **words, struct cof_diag *diag)
{
	cof_autojson struct cof_json *record = cof_json_object();
	cof_autobuf struct cof_buf text = {0};
	int r = file_load(words[2], DETAILS_MAX, &text, diag);

	if (r == 0 && (!text.len || memchr(text.data, 0, text.len)))
		r = cof_fail(diag, -EUCLEAN, "%s says nothing of the custodian", words[2]);
	if (r < 0)
		return r;
	cof_json_set_str(record, "proposes", "custodian");
	cof_json_set_str(record, "name", words[1]);
	cof_json_set_bytes(record, "detail", text.data, text.len);
	return escrow_propose(&c->shelf, &c->ask, record, diag);
}

static int destroyed(struct changing *c, char **words, struct cof_diag *diag)
{
	const struct ledger_epoch *e = epoch_by_number(&c->ledger, words[1]);
	cof_autojson struct cof_json *record = cof_json_object();
	struct cof_epoch doc = {0};
	int r = e ? escrow_ledger_document_of(&c->shelf, e, &doc, diag)
		  : cof_fail(diag, -ENOENT, "no epoch on this shelf has the number %.20s", words[1]);

	if (r == 0 && cof_epoch_find(&doc, words[2]) < 0)
		r = cof_fail(diag, -ENOENT, "no custodian of epoch %u is called %.64s", doc.number, words[2]);
	cof_epoch_done(&doc);
	if (r < 0 || !e)
		return r;
	cof_json_set_str(record, "what", "share-destroyed");
	cof_json_set_uint(record, "epoch", e->number);
	cof_json_set_str(record, "epoch_key", e->epoch_key);
	cof_json_set_str(record, "name", words[2]);
	if (c->ask.reason)
		cof_json_set_str(record, "reason", c->ask.reason);
	r = escrow_record(&c->shelf, record, NULL, diag);
	if (r == 0)
		printf("It is on record that %s has destroyed the share of epoch %u, as was said: nobody can see that from here.\n", words[2],
		       e->number);
	return r;
}

/* ---- the verbs ---- */

static int run(const struct verb *self, int argc, char **argv)
{
	struct changing c = {.shelf = ESCROW_SHELF_INIT};
	bool revokes = !strcmp(self->name, "escrow revoke");
	struct cof_diag diag = {""};
	int code = options_take(self, argc, argv, take, &c, 3);
	int r;

	if (code >= 0)
		return code;
	argv += optind;
	if (revokes && strcmp(argv[1], "key") != 0 && strcmp(argv[1], "epoch") != 0 && strcmp(argv[1], "custodian") != 0 &&
	    strcmp(argv[1], "tpm-key") != 0)
		return misuse("what is revoked? key ID, epoch N, custodian NAME or tpm-key NAME");
	if (revokes && !c.ask.reason)
		return misuse("--reason TEXT is wanted");
	if (c.ask.key && !c.ask.as)
		return misuse("--key goes with --as");
	if (*opener_conflict(&c.shelf.ask.opener))
		return misuse("%s", opener_conflict(&c.shelf.ask.opener));
	r = escrow_open(&c.shelf, argv[0], true, &diag);
	if (r == 0)
		r = escrow_ledger_load(&c.shelf, false, &c.ledger, &diag);
	if (r == 0)
		r = revokes				      ? revoke_one(&c, argv, &diag)
		    : !strcmp(self->name, "escrow enroll") ? c.p256 ? enroll_tpm_key(&c, argv, &diag) : enroll(&c, argv, &diag)
							      : destroyed(&c, argv, &diag);
	escrow_ledger_done(&c.ledger);
	r = escrow_close(&c.shelf, r, &diag);
	if (r < 0 && !*diag.text)
		(void)cof_fail(&diag, r, "%s", strerror(-r));
	return r < 0 ? failure(&diag) : EXIT_OK;
}

const struct verb verb_escrow_revoke = {
    .name = "escrow revoke",
    .args = "SHELF key|epoch|custodian|tpm-key WHICH",
    .summary = "a key, an epoch, a custodian: of no use any more",
    .text = "Proposes it; it counts once a request for the record was approved (coffer request escrow-accept). A revoked key is not "
	    "recovered any more, no key goes to a revoked epoch, and of a revoked custodian status tells until the shares are "
	    "destroyed. What the shares that are out still open is listed. A revoked key for a TPM counts no more here.\n"
	    "\n"
	    "Exit code: 0 done, 1 failed or refused, 2 wrong usage.",
    .options = options,
    .more = opener_options,
    .run = run,
    .takes_files = true,
};

const struct verb verb_escrow_enroll = {
    .name = "escrow enroll",
    .args = "SHELF NAME FILE",
    .summary = "a custodian, with what is known of them",
    .text = "FILE is what is known of the custodian NAME: person, place, medium, contact (docs/escrow.md). It is proposed, and counts "
	    "once a request for the record was approved. It gives no share: that an epoch of a scheme does in which the custodian is.\n"
	    "\n"
	    "With --p256 FILE is a public key, with which NAME signs when a TPM asks (coffer escrow put --tpm-quorum).\n"
	    "\n"
	    "Exit code: 0 done, 1 failed or refused, 2 wrong usage.",
    .options = enroll_options,
    .more = opener_options,
    .run = run,
    .takes_files = true,
};

const struct verb verb_escrow_destroyed = {
    .name = "escrow destroyed",
    .args = "SHELF EPOCH NAME",
    .summary = "a custodian has destroyed a share",
    .text = "Puts on record that the custodian NAME says to have destroyed the share of the epoch with this number. Nobody can see that "
	    "from here; status counts it as gone.\n"
	    "\n"
	    "Exit code: 0 done, 1 failed or refused, 2 wrong usage.",
    .options = destroyed_options,
    .more = opener_options,
    .run = run,
    .takes_files = true,
};
