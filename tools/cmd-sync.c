/* SPDX-License-Identifier: Apache-2.0 */
/* coffer sync: brings an archive's vaults up to date. */
#include "tools/coffer.h"
#include "tools/bundles.h"
#include "tools/buckets.h"
#include "tools/output.h"
#include "tools/placement.h"
#include "tools/sync-early.h"
#include "tools/sync-watch.h"
#include "tools/vault-record.h"
#include "tools/witness.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#define SECURE_BYTES (4u << 20)

enum { OPT_LIMIT, OPT_JSON, OPT_BUNDLE, OPT_SPLIT, OPT_RECEIPT, OPT_WATCH, OPT_EVERY };

static const struct tool_option options[] = {
    [OPT_LIMIT] = {"limit", "SIZE", "at most so many bytes a second, such as 20M"},
    [OPT_JSON] = {"json", NULL, "one JSON object for each vault, a line each"},
    [OPT_BUNDLE] = {"bundle", "FILE", "writes what VAULT lacks, to be carried there by hand; nothing is sent", true},
    [OPT_SPLIT] = {"split", "SIZE", "of a bundle: FILE.001 and so on of at most this size, such as 4G"},
    [OPT_RECEIPT] = {"receipt", "FILE", "takes what came back from a vault that a bundle went to", true},
    [OPT_WATCH] = {"watch", NULL, "goes on until it is ended: each vault again when there is something new, and after a failure"},
    [OPT_EVERY] = {"every", "SPAN", "of --watch: a vault's rounds are at least so far apart, such as 5m; default 1m, 15m of a bucket"},
    {0},
};

struct syncing {
	uint64_t limit;
	bool json;
	struct store store;
	char **name; /* those that are wanted; n 0: all */
	int n;
	int code; /* the worst */
	unsigned met;
	uint8_t *envelope;
	size_t envelope_len;
	struct progress progress;
	const char *bundle, *receipt, *limit_text;
	uint64_t split;
	bool watch;
	int64_t every;
	struct cof_diag kept_back; /* why the tree R that waits for this vault was not sent; "": it was, or none waits */
	struct opener_args opener;
	struct vault_recording recording;
	struct vault_line line; /* of the session that is on, was the last, or is to come */
	char early[512];	/* of the one that is to come: where it leads; "": it is not open yet */
	bool looked;
};

static void progressed(void *user, uint64_t done, uint64_t total)
{
	struct syncing *s = user;

	progress_update(&s->progress, done, total);
}

static void say(const struct syncing *s, const struct vault_entry *e, const struct vault_sent *sent, struct cof_json *record)
{
	const char *recorded = !record ? "; goes on record at the next mount" : cof_json_bool(record, "chained") ? ", on record" : "";
	char when[32], size[32];
	int64_t caught_up = 0;

	cof_time_text((int64_t)e->time * COF_NSEC, when);
	cof_size_text(sent->bytes, size);
	if (s->json) {
		cof_autojson struct cof_json *o = cof_json_object();

		cof_json_set_str(o, "vault", e->name);
		cof_json_set_uint(o, "size", e->size);
		cof_json_set_uint(o, "frames", sent->frames);
		cof_json_set_uint(o, "bytes", sent->bytes);
		cof_json_set_str(o, "confirmed", when);
		if (sent->n_receipts)
			cof_json_set_uint(o, "receipts", sent->n_receipts);
		if (record)
			cof_json_set(o, "record", cof_json_ref(record));
		print_json(o, false);
	} else if (witness_is_url(e->url)) {
		printf("%s cosigned %" PRIu64 " frames at %s%s.\n", e->name, e->size, when, recorded);
	} else if (sent->nothing) {
		printf("%s has all %" PRIu64 " frames; confirmed at %s%s.\n", e->name, e->size, when, recorded);
	} else {
		printf("%s took %" PRIu64 " frames (%s) and has %" PRIu64 "; confirmed at %s%s.\n", e->name, sent->frames, size, e->size,
		       when, recorded);
	}
	if (!s->json && record && cof_json_int(record, "caught_up_ms", &caught_up) == 0 && caught_up > 0) {
		cof_duration_text(caught_up * 1000000, size);
		printf("Retention time caught up by %s, since two administrations' vaults agree.\n", size);
	}
}

struct meeting {
	const struct syncing *s;
	struct vault_entry *e;
	const struct vault_sent *sent;
};

/* What the policy asks of places is looked at before anything leaves. */
static int may_leave(const struct meeting *m, struct cof_diag *diag)
{
	struct placed c = placed_vault(m->e);

	return m->sent->nothing ? 0 : placement_may_leave(&m->s->store, &c, diag);
}

/* Before anything leaves: is it the vault that was met, and does it stand where it did? */
static int meet(void *user, const char *about, struct cof_diag *diag)
{
	const struct meeting *m = user;
	struct vault_entry *e = m->e, is = {.time = 0};
	int r;

	if (vault_about_read(about, &is) < 0 || !cof_equal(is.vkey.public_key, e->vkey.public_key, 32) ||
	    strcmp(is.vkey.name, e->vkey.name))
		return cof_fail(diag, -EKEYREJECTED, "another vault answers there than the one that was added: its key is not the same. "
						     "Nothing was sent");
	if (strcmp(is.place, e->place) || strcmp(is.jurisdiction, e->jurisdiction))
		return cof_fail(diag, -EXDEV, "the vault says now that it stands at '%s' (%s); it was '%s' (%s) when it was added. Nothing "
					      "was sent; if that is right: coffer vault add",
				is.place, is.jurisdiction, e->place, e->jurisdiction);
	r = vault_entry_says(&m->s->store, e, &is, diag);
	return r < 0 ? r : may_leave(m, diag);
}

/* Once, before anything leaves, and while the first of them begins to answer: what is new in the log, and where its copies are. */
static void look_around(struct syncing *s)
{
	if (s->looked)
		return;
	s->looked = true;
	vaults_look(&s->store);
	placement_say(&s->store);
}

/* Its program may still be there behind it: its end is waited for when nothing else is left to do. */
static int session(struct syncing *s, struct vault_entry *e, struct vault_sent *sent, struct cof_diag *diag)
{
	struct meeting meeting = {.s = s, .e = e, .sent = sent};
	struct vault_sending p = {.envelope = s->envelope, .envelope_len = s->envelope_len, .meet = meet, .user = &meeting,
				  .progress = {progressed, s}};
	struct vault_source *source = NULL;
	cof_autofree uint8_t *keys = NULL;
	int r;

	if (*s->early && strcmp(s->early, e->url))
		vault_line_drop(&s->line);
	else if (!*s->early)
		vault_line_close(&s->line);
	s->early[0] = 0;
	r = vault_hello_to(&s->store, VAULT_SENDS, e->url, &s->line, diag);
	s->recording.began = cof_now(CLOCK_BOOTTIME);
	s->line.wire.limit = s->limit;
	if (vault_entry_keys(&s->store, e, &keys, &p.keys_len, &s->kept_back) == 0)
		p.keys = keys;
	if (r == 0) { /* while ssh says who it is */
		look_around(s);
		r = vault_source_open(s->store.io, &source, diag);
	}
	if (r == 0)
		r = vault_send_log(&s->line.wire, source, &p, sent, diag);
	progress_clear(&s->progress);
	vault_line_hang_up(&s->line);
	if (r == 0)
		r = vault_entry_note(&s->store, e, sent->note, diag);
	if (r == 0 && p.keys && !sent->nothing)
		r = vault_entry_has_keys(&s->store, e, diag);
	vault_source_free(source);
	if (r < 0)
		vault_line_close(&s->line);
	return r;
}

/* The vault's copy is damaged, and what it lost is here. */
static int mend(struct syncing *s, const struct vault_entry *e, struct cof_diag *diag)
{
	struct vault_source *source = NULL;
	char detail[128], size[32];
	unsigned segments = 0;
	uint64_t bytes = 0;
	int r = vault_source_open(s->store.io, &source, diag);

	if (r == 0)
		r = vault_hello_to(&s->store, VAULT_MENDS, e->url, &s->line, diag);
	s->line.wire.limit = s->limit;
	if (r == 0)
		r = vault_send_mending(&s->line.wire, source, &segments, &bytes, diag);
	vault_line_close(&s->line);
	vault_source_free(source);
	if (r < 0)
		return r;
	cof_size_text(bytes, size);
	snprintf(detail, sizeof(detail), "%u damaged segments (%s) were mended", segments, size);
	complain("vault %s: %s", e->name, detail);
	return vault_told(&s->recording, "vault-mended", e->name, detail, diag);
}

/* Something went wrong with a vault or copy: on record too, as far as somebody has the archive open. */
static void tell_of(struct syncing *s, const char *type, const char *kind, const char *name, const char *what)
{
	cof_autofree char *shown = escaped(what);
	struct cof_diag diag = {""};

	complain("%s %s: %s", kind, name, shown ? shown : "out of memory");
	if (vault_told(&s->recording, type, name, what, &diag) < 0)
		complain("that could not be recorded: %s", diag.text);
}

static void tell(struct syncing *s, const char *type, const struct vault_entry *e, const char *what)
{
	tell_of(s, type, "vault", e->name, what);
}

static int ignore(void *user COF_UNUSED, struct cof_json *line COF_UNUSED)
{
	return 0;
}

/* A vault or copy has more of this archive than this store: whatever is written here now is another history. */
static void stop_writing(struct syncing *s, const char *name, const char *note)
{
	cof_autojson struct cof_json *request = cof_json_object();
	struct cof_diag diag = {""};
	int r = vault_newer_keep(&s->store, name, note, &diag);

	if (r == 0) {
		cof_json_set_str(request, "verb", "vault-newer");
		cof_json_set_str(request, "vault", name);
		cof_json_set_str(request, "note", note);
		r = store_ask(&s->store, request, ignore, NULL, &diag);
	}
	if (r < 0 && r != -ENOTCONN && r != -EEXIST) /* -EEXIST: another store of this archive is mounted, which has it */
		complain("%s", diag.text);
	else
		complain("nothing more is written to %s until it has what is there", s->store.path);
}

/* Whether the vault refused since it has more. */
static bool has_more(const struct syncing *s, const struct vault_sent *sent)
{
	struct cof_checkpoint head;

	return (sent->refusal == VAULT_R_STALE || sent->refusal == VAULT_R_FORK) && sent->note &&
	       cof_checkpoint_open(sent->note, strlen(sent->note), &s->store.conf.vkey, &head) == 0 && head.size > sent->size;
}

/* Twice where the copy had to be mended first. */
static int sessions(struct syncing *s, struct vault_entry *e, struct vault_sent *sent, struct cof_diag *diag)
{
	int r;

	if (witness_is_url(e->url)) {
		look_around(s);
		s->recording.began = cof_now(CLOCK_BOOTTIME);
		return witness_ask(&s->store, e, sent, diag);
	}
	r = session(s, e, sent, diag);
	if (r == 0 || sent->refusal != VAULT_R_DAMAGED)
		return r;
	vault_sent_done(sent);
	*sent = (struct vault_sent){.size = 0};
	r = mend(s, e, diag);
	return r < 0 ? r : session(s, e, sent, diag);
}

static bool wanted(const struct syncing *s, const char *name)
{
	for (int i = 0; i < s->n; i++)
		if (!strcmp(s->name[i], name))
			return true;
	return !s->n;
}

/* What left is on record, unless all of it was about such records. failure: NULL where there was none. */
static int record_transfer(struct syncing *s, const struct vault_entry *e, const struct vault_sent *sent,
			   const struct cof_json *chained, const char *failure, struct cof_diag *diag)
{
	cof_autojson struct cof_json *o = cof_json_object();

	if (!sent->bytes || (chained && !cof_json_bool(chained, "chained")))
		return 0;
	cof_json_set_str(o, "what", "transfer");
	vault_entry_record(&s->store, e, o);
	cof_json_set_uint(o, "from", sent->from);
	cof_json_set_uint(o, "to", sent->size);
	cof_json_set_uint(o, "bytes", sent->bytes);
	cof_json_set_str(o, "outcome", failure ? "failure" : "success");
	if (failure)
		cof_json_set_str(o, "detail", failure);
	return vault_recorded(&s->recording, o, diag);
}

/* What the vault signed besides; one that is not taken is an alarm, and the others are taken. */
static int take_receipts(struct syncing *s, const struct vault_entry *e, const struct vault_sent *sent)
{
	int code = EXIT_OK;

	s->recording.quiet = s->json;
	for (size_t i = 0; i < sent->n_receipts; i++) {
		struct cof_diag diag = {""};

		if (vault_receipt_take(&s->recording, e, sent->receipt[i], &diag) == 0)
			continue;
		tell(s, "vault-alarm", e, diag.text);
		code = SYNC_ALARM;
	}
	return code;
}

/* One that fails does not keep the others from being brought up to date. */
static int one(void *user, struct vault_entry *e)
{
	struct syncing *s = user;
	struct vault_sent sent = {.size = 0};
	cof_autojson struct cof_json *record = NULL;
	struct cof_diag diag = {""}, why = {""};
	int code = EXIT_OK, r;

	if (!wanted(s, e->name) || (!s->n && *e->retiring))
		return 0;
	s->met++;
	s->kept_back.text[0] = 0;
	if (!strcmp(e->url, BUNDLE_URL)) {
		printf("%s is reached by hand: coffer sync %s %s --bundle FILE\n", e->name, s->store.path, e->name);
		return 0;
	}
	r = sessions(s, e, &sent, &diag);
	if (r == 0)
		r = vault_record(&s->recording, e, &record, &diag);
	if (record_transfer(s, e, &sent, record, r < 0 ? diag.text : NULL, &why) < 0 && r == 0) {
		r = -EIO;
		diag = why;
	}
	if (r < 0) {
		tell(s, sent.about ? "vault-alarm" : "vault-unreachable", e, diag.text);
		if (has_more(s, &sent))
			stop_writing(s, e->name, sent.note);
		code = sent.refusal == VAULT_R_STALE ? SYNC_BEHIND : sent.refusal == VAULT_R_FORK ? SYNC_FORK : sent.refusal == VAULT_R_RULES ? SYNC_ALARM : EXIT_FAILED;
	} else {
		say(s, e, &sent, record);
		code = take_receipts(s, e, &sent);
		if (sent.notices) {
			tell(s, "vault-alarm", e, sent.notices);
			code = SYNC_ALARM;
		}
	}
	if (*s->kept_back.text) { /* the log does not wait for it */
		tell(s, "vault-alarm", e, s->kept_back.text);
		code = COF_MAX(code, SYNC_ALARM);
	}
	s->code = COF_MAX(s->code, code);
	vault_sent_done(&sent);
	vault_line_close(&s->line);
	return 0;
}

/* Where another sync or check is at work there, that one tells. */
static void tell_bucket(struct syncing *s, const struct bucket *b, int error, const char *what)
{
	bool silent = error == -ETIMEDOUT || error == -ECONNREFUSED || error == -EAGAIN;
	cof_autofree char *shown = escaped(what);

	if (error == -EBUSY)
		complain("copy %s: %s", b->name, shown ? shown : "out of memory");
	else
		tell_of(s, silent ? "vault-unreachable" : "vault-alarm", "copy", b->name, what);
}

/* A copy in a bucket, likewise. */
static int one_bucket(void *user, const struct bucket *b)
{
	struct syncing *s = user;
	cof_autobuf struct cof_buf newer = {0};
	struct bucket_sync p = {.store = &s->store, .limit = s->limit, .json = s->json, .envelope = s->envelope,
				.envelope_len = s->envelope_len, .progress = &s->progress, .recording = &s->recording, .newer = &newer};
	struct cof_diag diag = {""};
	int r;

	if (!wanted(s, b->name) || (!s->n && *b->retiring))
		return 0;
	s->met++;
	look_around(s);
	r = bucket_push(&p, b, &diag);
	if (r == 0)
		r = vault_newer_drop(&s->store, b->name, &diag);
	if (r == -ESTALE && newer.len && !newer.failed)
		stop_writing(s, b->name, (const char *)newer.data);
	if (r < 0) {
		tell_bucket(s, b, r, diag.text);
		s->code = COF_MAX(s->code, r == -ESTALE ? SYNC_BEHIND : r == -ENOTUNIQ ? SYNC_FORK : EXIT_FAILED);
	}
	return 0;
}

/* So that what was written until now goes along. Without an answer the newest one is what there is. */
static void ask_for_checkpoint(const struct store *s)
{
	cof_autojson struct cof_json *request = cof_json_object();
	struct cof_diag why = {""};

	cof_json_set_str(request, "verb", "checkpoint");
	(void)store_ask(s, request, ignore, NULL, &why);
}

static int by_hand(struct syncing *s, struct cof_diag *diag)
{
	struct bundling b = {.store = &s->store, .recording = &s->recording, .envelope = s->envelope, .envelope_len = s->envelope_len,
			     .split = s->split, .progress = {progressed, s}};
	struct vault_entry e = {.time = 0};
	bool alarm = false;
	int r;

	if (s->receipt) {
		r = bundles_receipt(&b, s->receipt, &alarm, diag);
		s->code = alarm ? SYNC_ALARM : s->code;
		return r;
	}
	r = vault_entry_load(&s->store, s->name[0], &e, diag);
	if (r == 0)
		r = bundles_write(&b, &e, s->bundle, diag);
	progress_clear(&s->progress);
	vault_entry_done(&e);
	return r;
}

static int watch(const struct syncing *s, struct cof_diag *diag)
{
	struct sync_watch w = {.store = &s->store, .name = s->name, .n = s->n, .limit = s->limit_text, .json = s->json, .every = s->every};

	return sync_watch(&w, diag);
}

static int act(struct syncing *s, const char *arg, struct cof_diag *diag)
{
	int r = store_find(arg, &s->store, diag);

	if (r == 0 && !s->watch && !s->bundle && !s->receipt && s->n <= 1)
		(void)sync_early(&s->store, s->n ? s->name[0] : NULL, s->early, &s->line);
	if (r == 0)
		r = cof_crypto_init_brief(SECURE_BYTES, diag);
	if (r == 0)
		r = store_load(&s->store, diag);
	for (int i = 0; r == 0 && i < s->n; i++)
		if (!bucket_exists(&s->store, s->name[i]))
			r = vault_entry_there(&s->store, s->name[i], diag);
	if (r == 0 && !s->watch)
		ask_for_checkpoint(&s->store);
	if (r == 0) {
		if (s->watch)
			return watch(s, diag);
		r = cof_io_load(s->store.io, "seal/recovery.age", VAULT_ENVELOPE_MAX, &s->envelope, &s->envelope_len);
		if (r < 0 && r != -ENOENT)
			return cof_fail(diag, r, "%s/seal/recovery.age cannot be read: %s", s->store.path, strerror(-r));
		if (s->bundle || s->receipt) {
			look_around(s);
			return by_hand(s, diag);
		}
		r = vault_entries(&s->store, one, s, diag);
	}
	if (r == 0)
		r = bucket_entries(&s->store, one_bucket, s, diag);
	if (r == 0 && !s->met)
		r = cof_fail(diag, -ENOENT, "%s has no vault yet: coffer vault add %s NAME URL", s->store.path, s->store.path);
	return r;
}

static int take_option(struct syncing *s, int option)
{
	if (option >= OPTION_MORE)
		return opener_take(&s->opener, option);
	if (option == OPT_JSON)
		s->json = true;
	else if (option == OPT_BUNDLE)
		s->bundle = optarg;
	else if (option == OPT_RECEIPT)
		s->receipt = optarg;
	else if (option == OPT_WATCH)
		s->watch = true;
	else if (option == OPT_EVERY && (cof_span_parse(optarg, &s->every) < 0 || s->every < COF_NSEC || s->every > SYNC_IDLE))
		return misuse("--every wants a span from 1s to 1h, such as 5m");
	else if (option == OPT_EVERY)
		return EXIT_OK;
	else if (option == OPT_SPLIT && (cof_size_parse(optarg, &s->split) < 0 || s->split < (1u << 20)))
		return misuse("--split wants a size of at least 1M");
	else if (option == OPT_SPLIT)
		return EXIT_OK;
	else if (cof_size_parse(optarg, &s->limit) < 0 || !s->limit)
		return misuse("--limit wants a size, such as 20M");
	else
		s->limit_text = optarg;
	return EXIT_OK;
}

static bool has_opener(const struct opener_args *a)
{
	return a->key_file || a->credential || a->seal || a->tpm || a->passphrase_fd >= 0;
}

static int run(const struct verb *self, int argc, char **argv)
{
	struct syncing s = {.progress = PROGRESS_INIT, .opener = OPENER_ARGS_INIT};
	struct cof_diag diag = {""};
	const char *conflict;
	int option, r, code;

	while ((option = option_next(self, argc, argv)) >= 0) {
		code = take_option(&s, option);
		if (code != EXIT_OK)
			return code;
	}
	if (option != OPTION_END)
		return option_exit(option);
	conflict = opener_conflict(&s.opener);
	if (*conflict)
		return misuse("%s", conflict);
	if (argc <= optind)
		return misuse("STORE is missing");
	s.name = argv + optind + 1;
	s.n = argc - optind - 1;
	if ((s.bundle && (s.n != 1 || s.receipt)) || (s.receipt && s.n) || (s.split && !s.bundle))
		return misuse("--bundle FILE goes with one VAULT, --split with --bundle, --receipt with the STORE alone");
	if (s.every && !s.watch)
		return misuse("--every goes with --watch");
	if (s.watch && (s.bundle || s.receipt || has_opener(&s.opener)))
		return misuse("--watch goes with STORE, VAULT, --limit, --every and --json; what vaults sign goes on record while the archive is mounted");
	s.recording = (struct vault_recording){.store = &s.store, .opener = &s.opener};
	r = act(&s, argv[optind], &diag);
	code = vault_record_done(&s.recording, r < 0 ? NULL : &diag);
	r = r < 0 ? r : code;
	free(s.envelope);
	if (*s.early)
		vault_line_drop(&s.line);
	store_close(&s.store);
	return r < 0 ? failure(&diag) : s.code;
}

const struct verb verb_sync = {
    .name = "sync",
    .args = "STORE [VAULT...]",
    .summary = "brings an archive's vaults up to date",
    .text = "Sends to each vault what it lacks of the log, up to the newest checkpoint, and keeps what the vault signs for it. The archive may "
	    "be mounted. A session that was cut goes on at the byte. The recovery envelope goes along; keys do not.\n"
	    "\n"
	    "What the vault signed goes into the archive's own chain: at once while it is mounted (root only), else at the next mount, or now where "
	    "an option below says with what key the archive opens. It bounds when frames were written; what a vault in another place has "
	    "counts as archived; and where two vaults that the archive's people name, of two administrations, agree, retention time catches up to them.\n"
	    "\n"
	    "A vault that has more than this store (it was put back to an older state), or another history (a fork), refuses; it keeps both "
	    "heads of a fork. Where it has more, nothing is written to this store any more, mounted or mounted anew: what it has not is taken "
	    "from the vault first, by coffer restore and coffer recover.\n"
	    "\n"
	    "Exit code: 0 all are up to date, 1 failed, 2 wrong usage, 3 this store is behind a vault, 4 fork, "
	    "5 a vault tells of something that needs somebody.",
    .options = options,
    .more = opener_options,
    .run = run,
    .takes_files = true,
};
