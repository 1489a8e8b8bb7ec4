/* SPDX-License-Identifier: Apache-2.0 */
/* coffer escrow init and accept: a shelf of an archive for escrowed keys, and the epochs that they are encrypted to. */
#include "tools/coffer.h"
#include "tools/escrow-ledger.h"
#include "tools/file.h"
#include "tools/output.h"

#include "escrow/epoch.h"
#include "fs/rules/profile.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>

#define SECURE_BYTES (8u << 20)
#define SCHEME_MAX (128u << 10)
#define DETAIL_MAX 16384 /* bytes of that field */
/* Never ends by itself, and a quorum may end it at any time: what destroys a key destroys all of it. */
#define POLICY "record_kind = key escrow\nretention = infinite\nmode = governance\n"

struct setting {
	struct escrow_shelf shelf;
	const char *scheme;
	bool json, new_scheme;
};

static int finish(struct setting *s, int r, struct cof_diag *diag)
{
	r = escrow_close(&s->shelf, r, diag);
	if (r < 0 && !*diag->text)
		(void)cof_fail(diag, r, "%s", strerror(-r));
	return r < 0 ? failure(diag) : EXIT_OK;
}

/* The report on a scheme as the record keeps it: what the archive itself does not understand. */
static int set_detail(const struct cof_scheme *s, struct cof_json *record)
{
	cof_autojson struct cof_json *report = cof_json_object();
	struct cof_json *names = cof_json_array();
	int r = cof_scheme_report(s, report);

	for (unsigned i = 0; i < s->n_custodians; i++)
		cof_json_append(names, cof_json_new_str(s->custodian[i].name));
	cof_json_set(report, "custodians", names);
	if (r == 0 && strlen(cof_json_text(report, false)) > DETAIL_MAX) /* status makes it anew from the scheme */
		cof_json_set(report, "lost_pairs", cof_json_array());
	if (r == 0)
		cof_json_set_str(record, "detail", cof_json_text(report, false));
	cof_json_set_str(record, "name", s->name);
	cof_json_set_uint(record, "persons", cof_scheme_fewest(s));
	return r;
}

/* ---- init ---- */

enum { INIT_SCHEME, INIT_JSON };

static const struct tool_option init_options[] = {
    [INIT_SCHEME] = {"scheme", "FILE", "groups, thresholds, custodians, places and media (docs/escrow.md)", true},
    [INIT_JSON] = {"json", NULL, "prints one JSON object"},
    {0},
};

static int take_init(void *user, int option)
{
	struct setting *s = user;

	if (option == INIT_SCHEME)
		s->scheme = optarg;
	else if (option == INIT_JSON)
		s->json = true;
	else
		return opener_take(&s->shelf.ask.opener, option);
	return EXIT_OK;
}

static void say_init(const struct setting *s, const struct cof_scheme *scheme)
{
	printf("%s is a shelf for escrowed keys, with the scheme %s: %u custodians, %u persons at the fewest.\n", s->shelf.name, scheme->name,
	       scheme->n_custodians, cof_scheme_fewest(scheme));
	printf("Next, on a host that is offline: coffer escrow epoch --scheme %s -o kit\n"
	       "Once all custodians have confirmed: coffer escrow accept %s/%s kit/epoch.json\n",
	       s->scheme, s->shelf.ask.store.path, s->shelf.name);
}

static int init(struct setting *s, struct cof_diag *diag)
{
	cof_autojson struct cof_json *args = cof_json_object(), *made = NULL, *record = cof_json_object(), *o = NULL;
	cof_autobuf struct cof_buf text = {0};
	struct cof_scheme scheme = {0};
	struct ledger l = {0};
	int r = file_load(s->scheme, SCHEME_MAX, &text, diag);

	if (r == 0)
		r = cof_scheme_parse(text.data ? (char *)text.data : "", text.len, &scheme, diag);
	cof_json_set_str(args, "shelf", s->shelf.name);
	cof_json_set_str(args, "policy", POLICY);
	if (r == 0)
		r = people_ask_one(&s->shelf.ask, "escrow-init", args, &made, diag);
	if (r == 0)
		r = escrow_ledger_load_few(&s->shelf, &l, diag);
	if (r == 0 && l.scheme)
		r = cof_fail(diag, -EEXIST, "%s has a scheme already: another one comes with its epoch (coffer escrow accept --new-scheme)", s->shelf.name);
	escrow_ledger_done(&l);
	cof_json_set_str(record, "what", "scheme");
	if (r == 0)
		r = set_detail(&scheme, record);
	if (r == 0)
		r = escrow_put(&s->shelf, "scheme", "ini", text.data, text.len, record, &o, diag);
	if (r == 0 && s->json)
		r = print_json(o, true);
	else if (r == 0)
		say_init(s, &scheme);
	cof_scheme_done(&scheme);
	return r;
}

static int run_init(const struct verb *self, int argc, char **argv)
{
	struct setting s = {.shelf = ESCROW_SHELF_INIT};
	struct cof_diag diag = {""};
	int code = options_take(self, argc, argv, take_init, &s, 1);
	int r;

	if (code >= 0)
		return code;
	if (!s.scheme)
		return misuse("--scheme FILE is wanted");
	if (*opener_conflict(&s.shelf.ask.opener))
		return misuse("%s", opener_conflict(&s.shelf.ask.opener));
	r = escrow_open(&s.shelf, argv[optind], true, &diag);
	return finish(&s, r == 0 ? init(&s, &diag) : r, &diag);
}

const struct verb verb_escrow_init = {
    .name = "escrow init",
    .args = "SHELF",
    .summary = "a shelf for escrowed keys, and who holds shares",
    .text = "Makes SHELF, unless it is there, and puts the scheme on it: who holds shares, in which groups, where and on what. SHELF "
	    "is named behind the store or the mount point: /srv/store/keys, mounted or not. Refused is a scheme that one person "
	    "could open.\n"
	    "\n"
	    "Keys come to it once an epoch of that scheme is in force: coffer escrow epoch, confirm and accept.\n"
	    "\n"
	    "Example:\n"
	    "  coffer escrow init /srv/store/keys --scheme scheme.ini\n"
	    "\n"
	    "Exit code: 0 done, 1 failed or refused, 2 wrong usage.",
    .options = init_options,
    .more = opener_options,
    .run = run_init,
    .takes_files = true,
};

/* ---- accept ---- */

enum { ACCEPT_SCHEME, ACCEPT_JSON };

static const struct tool_option accept_options[] = {
    [ACCEPT_SCHEME] = {"new-scheme", NULL, "the epoch's scheme is another one than the shelf has: it is put there too"},
    [ACCEPT_JSON] = {"json", NULL, "prints one JSON object"},
    {0},
};

static int take_accept(void *user, int option)
{
	struct setting *s = user;

	if (option == ACCEPT_JSON)
		s->json = true;
	else if (option == ACCEPT_SCHEME)
		s->new_scheme = true;
	else
		return opener_take(&s->shelf.ask.opener, option);
	return EXIT_OK;
}

/* Other custodians, places or thresholds: what they are worth those see who approve the epoch. */
static int put_scheme(struct setting *s, const struct cof_epoch *e, struct cof_diag *diag)
{
	cof_autojson struct cof_json *record = cof_json_object(), *o = NULL;
	const char *text = e->scheme_text ? e->scheme_text : "";
	int r = set_detail(&e->scheme, record);

	cof_json_set_str(record, "what", "scheme");
	return r == 0 ? escrow_put(&s->shelf, "scheme", "ini", text, strlen(text), record, &o, diag) : r;
}

/* Of the scheme that was put on the shelf last, and under a number of its own. */
static int fits(struct setting *s, const struct ledger *l, const struct cof_epoch *e, const char *epoch_key, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf scheme = {0};
	const char *own = e->scheme_text ? e->scheme_text : "";
	int r = l->scheme ? escrow_read(&s->shelf, l->scheme, &scheme, diag)
			  : cof_fail(diag, -EPERM, "%s has no scheme: coffer escrow init comes first", s->shelf.name);

	if (r == 0 && (scheme.len != strlen(own) || (scheme.len && memcmp(scheme.data, own, scheme.len) != 0)))
		r = s->new_scheme ? put_scheme(s, e, diag)
				  : cof_fail(diag, -EPERM, "the epoch is of another scheme than the one on the shelf (--new-scheme)");
	for (size_t i = 0; r == 0 && i < l->n_epochs; i++)
		if (l->epoch[i].number == e->number && strcmp(l->epoch[i].epoch_key, epoch_key) != 0)
			return cof_fail(diag, -EEXIST, "another epoch has the number %u already: coffer escrow epoch --number N", e->number);
	for (unsigned i = 0; r == 0 && i < e->scheme.n_custodians; i++)
		if (escrow_ledger_revoked(l, 0, e->scheme.custodian[i].name))
			return cof_fail(diag, -EPERM, "%s was revoked, and this epoch has a share for them: make one without, or enroll them anew",
					e->scheme.custodian[i].name);
	return r;
}

static int refuse(struct setting *s, const char *rule, const char *clause, const char *reason, struct cof_diag *diag)
{
	struct cof_diag unrecorded = {""};

	if (escrow_refused(&s->shelf, rule, clause, reason, NULL, &unrecorded) < 0)
		complain("the refusal is not on record: %s", unrecorded.text);
	return cof_fail(diag, -EPERM, "refused (%s): %s [%s]", rule, reason, clause);
}

/* What the archive's policy asks of a scheme, which the daemon does not read. */
static int fits_policy(struct setting *s, const struct cof_scheme *scheme, struct cof_diag *diag)
{
	cof_autojson struct cof_json *args = cof_json_object(), *o = NULL;
	struct cof_profile_file f = {.n_shelves = 0};
	char reason[256];
	int r = people_ask_one(&s->shelf.ask, "policy", args, &o, diag);
	const char *text = r == 0 ? cof_json_str(o, "policy") : NULL;

	if (r == 0)
		r = text ? cof_profile_parse(text, strlen(text), &f, diag) : cof_fail(diag, -EPROTO, "no policy in the answer");
	if (r < 0)
		return r;
	if (cof_scheme_places(scheme) < f.archive.share_places) {
		snprintf(reason, sizeof(reason), "its shares lie in %u place%s, and the archive's policy asks for %u (share_places)",
			 cof_scheme_places(scheme), plural(cof_scheme_places(scheme)), f.archive.share_places);
		r = refuse(s, "share-places", "VASP 2.7.2 (R24)", reason, diag);
	} else if (!cof_scheme_survives(scheme, f.archive.survive)) {
		snprintf(reason, sizeof(reason), "its keys do not survive the loss of any %u person%s with a share, as the archive's policy asks (survive)",
			 f.archive.survive, plural(f.archive.survive));
		r = refuse(s, "survive", "VASP 1.2.3 (R26)", reason, diag);
	}
	cof_profile_file_done(&f);
	return r;
}

static int accept_record(struct setting *s, const struct cof_epoch *e, const char *epoch_key, struct cof_json *record,
			 const struct cof_buf *text, struct cof_json **ret, struct cof_diag *diag)
{
	cof_autojson struct cof_json *valid = cof_json_object();
	char name[32];
	int r;

	cof_json_set_str(record, "what", "epoch");
	cof_json_set_uint(record, "epoch", e->number);
	cof_json_set_str(record, "epoch_key", epoch_key);
	cof_json_set_bool(record, "rehearsal", e->rehearsal);
	cof_json_set_str(record, "outcome", cof_epoch_valid(e) ? "success" : "failure");
	r = set_detail(&e->scheme, record);
	snprintf(name, sizeof(name), "epoch-%u", e->number);
	if (r == 0)
		r = escrow_put(&s->shelf, name, "json", text->data, text->len, record, ret, diag);
	if (r < 0 || !e->rehearsal || !cof_epoch_valid(e))
		return r;
	/* Nothing but rehearsals goes to it: nobody has to approve it. */
	cof_json_set_str(valid, "what", "epoch-valid");
	cof_json_set_uint(valid, "epoch", e->number);
	cof_json_set_str(valid, "epoch_key", epoch_key);
	cof_json_set_bool(valid, "rehearsal", true);
	cof_json_set_uint(valid, "of", (uint64_t)ledger_number(*ret, "sequence"));
	return escrow_record(&s->shelf, valid, NULL, diag);
}

static void say_accept(const struct setting *s, const struct cof_epoch *e, const struct cof_json *o)
{
	printf("Epoch %u%s is on the shelf %s.\n", e->number, e->rehearsal ? ", a rehearsal," : "", s->shelf.name);
	if (!cof_epoch_valid(e))
		printf("It is not valid yet: accept it again once all custodians have confirmed.\n");
	else if (e->rehearsal)
		printf("It is in force, for rehearsals.\n");
	else
		printf("It is in force once it was approved:\n  coffer request escrow-accept %s %s %" PRId64 " --as NAME\n",
		       s->shelf.ask.store.path, s->shelf.name, ledger_number(o, "sequence"));
}

static int accept_epoch(struct setting *s, const char *path, struct cof_diag *diag)
{
	cof_autojson struct cof_json *record = cof_json_object(), *o = NULL;
	cof_autobuf struct cof_buf text = {0};
	struct cof_epoch e = {0};
	struct ledger l = {0};
	uint8_t recipient[COF_AGE_KEY];
	char epoch_key[2 * COF_AGE_KEY + 1];
	int r = file_load(path, COF_EPOCH_MAX, &text, diag);

	if (r == 0)
		r = cof_epoch_parse(text.data ? (char *)text.data : "", text.len, &e, diag);
	if (r < 0)
		return r;
	r = cof_age_recipient_parse(e.recipient, strlen(e.recipient), recipient);
	cof_hex(recipient, sizeof(recipient), epoch_key);
	if (r == 0)
		r = escrow_ledger_load_few(&s->shelf, &l, diag);
	if (r == 0)
		r = fits_policy(s, &e.scheme, diag);
	if (r == 0)
		r = fits(s, &l, &e, epoch_key, diag);
	escrow_ledger_done(&l);
	if (r == 0)
		r = accept_record(s, &e, epoch_key, record, &text, &o, diag);
	if (r == 0)
		cof_json_set_bool(o, "valid", cof_epoch_valid(&e));
	if (r == 0 && s->json)
		r = print_json(o, true);
	else if (r == 0)
		say_accept(s, &e, o);
	cof_epoch_done(&e);
	return r;
}

static int run_accept(const struct verb *self, int argc, char **argv)
{
	struct setting s = {.shelf = ESCROW_SHELF_INIT};
	struct cof_diag diag = {""};
	int code = options_take(self, argc, argv, take_accept, &s, 2);
	int r;

	if (code >= 0)
		return code;
	if (*opener_conflict(&s.shelf.ask.opener))
		return misuse("%s", opener_conflict(&s.shelf.ask.opener));
	r = escrow_open(&s.shelf, argv[optind], true, &diag);
	return finish(&s, r == 0 ? accept_epoch(&s, argv[optind + 1], &diag) : r, &diag);
}

const struct verb verb_escrow_accept = {
    .name = "escrow accept",
    .args = "SHELF EPOCH",
    .summary = "puts an epoch's document on the shelf",
    .text = "EPOCH is the document that coffer escrow epoch made and confirm completed; its proofs are checked. Once it is "
	    "valid, a request (coffer request escrow-accept) puts it in force: whoever could choose the epoch alone would have the "
	    "keys that come after. A rehearsal is in force at once, for rehearsals only. Refused is an epoch of a scheme with "
	    "less than the archive's policy asks for (share_places, survive, key_persons).\n"
	    "\n"
	    "Example:\n"
	    "  coffer escrow accept /srv/store/keys kit/epoch.json\n"
	    "\n"
	    "Exit code: 0 done, 1 failed or refused, 2 wrong usage.",
    .options = accept_options,
    .more = opener_options,
    .run = run_accept,
    .takes_files = true,
};
