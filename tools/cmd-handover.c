/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coffer handover: an archive goes to a successor. Who gives writes down what there is; who takes has it judged: is all of it
 * there, and is nothing left with which the one before could open it, read it or decide about it?
 */
#include "tools/coffer.h"
#include "tools/file.h"
#include "tools/output.h"
#include "tools/papers.h"
#include "tools/vault-record.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#define SECURE_BYTES (4u << 20)
#define STATEMENT_MAX 16384u
#define NONE "none"

enum { OPT_TO };
enum { EXIT_OPEN = 3 };

static const struct tool_option options[] = {
    [OPT_TO] = {"to", "NAME", "give: who takes it, in words"},
    {0},
};

struct handing {
	struct store store;
	struct progress progress;
	const char *to;
	char envelope[2 * COF_HASH + 1]; /* SHA-256 of seal/recovery.age, or "none" */
	uint64_t size;			 /* of the statement */
	unsigned open;
	bool keys, people; /* new ones, behind size */
};

static int digest_envelope(struct handing *h, struct cof_diag *diag)
{
	cof_autofree uint8_t *age = NULL;
	uint8_t digest[COF_HASH];
	size_t n = 0;
	int r = cof_io_load(h->store.io, "seal/recovery.age", VAULT_ENVELOPE_MAX, &age, &n);

	snprintf(h->envelope, sizeof(h->envelope), NONE);
	if (r == 0) {
		cof_sha256(age, n, digest);
		cof_hex(digest, COF_HASH, h->envelope);
	}
	return r < 0 && r != -ENOENT ? cof_fail(diag, r, "seal/recovery.age cannot be read: %s", strerror(-r)) : 0;
}

/* ---- give ---- */

static int give(struct handing *h, struct cof_diag *diag)
{
	struct vault_source *source = NULL;
	struct cof_checkpoint head = {.size = 0};
	char id[33], root[2 * COF_HASH + 1], now[32];
	const char *note;
	int r = vault_source_open(h->store.io, &source, diag);

	if (r == 0)
		r = digest_envelope(h, diag);
	if (r == 0) {
		note = vault_source_note(source, &head);
		cof_hex(h->store.conf.id, 16, id);
		cof_hex(head.root, COF_HASH, root);
		cof_time_text(cof_now(CLOCK_REALTIME), now);
		printf(HANDOVER_FIRST "archive %s\nsize %" PRIu64 "\nroot %s\nenvelope %s\ntime %s\nto %s\n\n%s", id, head.size, root, h->envelope, now,
		       h->to, note);
	}
	vault_source_free(source);
	return r;
}

/* ---- take ---- */

static void item(struct handing *h, bool done, const char *text, const char *otherwise)
{
	printf("%-5s %s%s%s\n", done ? "done" : "OPEN", text, done ? "" : ": ", done ? "" : otherwise);
	h->open += !done;
}

/* The lines have to say what the signed head in it says. */
static int read_statement(struct handing *h, const char *text, char envelope[2 * COF_HASH + 1], struct cof_checkpoint *head,
			  struct cof_diag *diag)
{
	struct handover_said said;
	char mine[33], hex[2 * COF_HASH + 1];

	if (handover_parse(text, &said) < 0)
		return cof_fail(diag, -EUCLEAN, "this is no statement of coffer handover give");
	memcpy(envelope, said.envelope, sizeof(said.envelope));
	cof_hex(h->store.conf.id, 16, mine);
	if (strcmp(said.archive, mine) != 0)
		return cof_fail(diag, -EXDEV, "the statement is about archive %s, not this one", said.archive);
	if (cof_checkpoint_open(said.note, strlen(said.note), &h->store.conf.vkey, head) < 0)
		return cof_fail(diag, -EBADMSG, "the head in the statement is not signed with this archive's key");
	cof_hex(head->root, COF_HASH, hex);
	if (strtoull(said.size, NULL, 10) != head->size || strcmp(said.root, hex) != 0)
		return cof_fail(diag, -EBADMSG, "the statement's lines are not what its signed head says");
	h->size = head->size;
	return 0;
}

static int same_history(struct handing *h, const struct cof_checkpoint *head, struct cof_diag *diag)
{
	struct vault_source *mine = NULL;
	struct cof_checkpoint newest;
	uint8_t root[COF_HASH];
	int r = vault_source_open(h->store.io, &mine, diag);

	if (r == 0) {
		vault_source_note(mine, &newest);
		if (newest.size < head->size)
			r = cof_fail(diag, -ESTALE, "this archive has %" PRIu64 " frames, and %" PRIu64 " were handed over: it is not complete", newest.size,
				     head->size);
	}
	if (r == 0)
		r = vault_source_root(mine, head->size, root, diag);
	if (r == 0 && !cof_equal(root, head->root, COF_HASH))
		r = cof_fail(diag, -ENOTUNIQ, "FORK: this is not the history that was handed over");
	vault_source_free(mine);
	return r;
}

static void on_progress(void *user, uint64_t done, uint64_t total)
{
	struct handing *h = user;

	progress_update(&h->progress, done, total);
}

static void on_finding(void *user, const struct cof_finding *f)
{
	(void)user;
	if (f->verdict != COF_INTACT)
		complain("%s", f->text);
}

/* New keys are a recovery behind the statement, new people a people file behind it. */
static void on_frame(void *user, const struct cof_frame *f, uint64_t at)
{
	struct handing *h = user;
	struct cof_reader *reader = NULL;
	uint8_t fields[4096];
	struct cof_field reason;
	size_t n = 0;

	if (f->sequence < h->size)
		return;
	h->people |= f->type == COF_PEOPLE;
	if (f->type != COF_RECOVERY || f->public_length > sizeof(fields) || cof_reader_new(h->store.io, &h->store.conf, &reader) < 0)
		return;
	if (cof_reader_bytes(reader, at + COF_FRAME_HEADER, fields, f->public_length, &n) == 0 && n == f->public_length &&
	    cof_field_find(fields, n, COF_T_REASON, &reason) == 0 && reason.len >= 14 && !memcmp(reason.value, "keys recovered", 14))
		h->keys = true;
	cof_reader_free(reader);
}

static int ignore(void *user COF_UNUSED, struct cof_json *line COF_UNUSED)
{
	return 0;
}

/* So that what was written until now is looked at too. Without an answer it ends where the newest checkpoint does. */
static void ask_for_checkpoint(struct handing *h)
{
	cof_autojson struct cof_json *request = cof_json_object();
	struct cof_diag why = {""};

	cof_json_set_str(request, "verb", "checkpoint");
	(void)store_ask(&h->store, request, ignore, NULL, &why);
}

static int verify(struct handing *h, struct cof_diag *diag)
{
	char holder[128];
	struct cof_verify_params p = {.io = h->store.io, .finding = on_finding, .frame = on_frame, .progress = on_progress, .user = h,
				      .live = cof_io_locked(h->store.io, holder, sizeof(holder)) > 0};
	struct cof_verified found = {.verdict = COF_NOT_AN_ARCHIVE};
	int r = cof_log_verify(&p, &found, diag);

	progress_clear(&h->progress);
	if (r == 0 && found.verdict != COF_INTACT && found.verdict != COF_UNSEALED)
		r = cof_fail(diag, -EBADMSG, "what is there is %s: coffer verify %s", cof_verdict_name(found.verdict), h->store.path);
	return r;
}

static int record(struct handing *h, const char *text, struct cof_diag *diag)
{
	struct vault_recording to = {.store = &h->store};
	cof_autojson struct cof_json *o = cof_json_object();

	cof_json_set_str(o, "what", "handed-over");
	cof_json_set_str(o, "name", "successor");
	cof_json_set_uint(o, "from", 0);
	cof_json_set_uint(o, "to", h->size);
	cof_json_set_str(o, "outcome", "success");
	cof_json_set_str(o, "document", text);
	return vault_recorded(&to, o, diag);
}

static int take(struct handing *h, const char *path, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf text = {0};
	char envelope[2 * COF_HASH + 1];
	struct cof_checkpoint head = {.size = 0};
	int r = file_load(path, STATEMENT_MAX, &text, diag);

	if (r == 0 && (!text.len || memchr(text.data, 0, text.len)))
		r = cof_fail(diag, -EUCLEAN, "%s is no statement of coffer handover give", path);
	if (r == 0)
		r = read_statement(h, (const char *)text.data, envelope, &head, diag);
	if (r == 0)
		ask_for_checkpoint(h);
	if (r == 0)
		r = same_history(h, &head, diag);
	if (r == 0)
		r = verify(h, diag);
	if (r == 0)
		r = digest_envelope(h, diag);
	if (r < 0)
		return r;
	printf("All %" PRIu64 " frames that were handed over are here, whole and unaltered.\n", h->size);
	item(h, h->keys, "new keys: those of the one before open nothing here any more", "coffer recover STORE, on your host, then mount it");
	item(h, h->people, "new people decide", "coffer people set STORE FILE");
	item(h, strcmp(h->envelope, NONE) != 0 && strcmp(h->envelope, envelope) != 0, "a new recovery envelope, for your custodians",
	     "coffer seal recovery-renew STORE");
	if (h->open) {
		printf("The hand-over is not complete.\n");
		return 0;
	}
	r = record(h, (const char *)text.data, diag);
	if (r == 0)
		printf("The hand-over is complete, and goes on record. Older copies of the store with their keys, wherever they are, still open as "
		       "far as they go: have their destruction shown (coffer vault retire).\n");
	return r;
}

/* ---- the verb ---- */

static int run(const struct verb *self, int argc, char **argv)
{
	struct handing h = {.progress = PROGRESS_INIT};
	struct cof_diag diag = {""};
	bool gives;
	int option, r;

	while ((option = option_next(self, argc, argv)) >= 0)
		h.to = optarg;
	if (option != OPTION_END)
		return option_exit(option);
	if (argc <= optind || (strcmp(argv[optind], "give") != 0 && strcmp(argv[optind], "take") != 0))
		return misuse("give or take comes first");
	gives = !strcmp(argv[optind], "give");
	if (!operands_are(self, argc, argv, gives ? 2 : 3))
		return EXIT_USAGE;
	if (gives != (h.to != NULL) || (h.to && (strpbrk(h.to, "\r\n") || strlen(h.to) > 200)))
		return misuse("give wants --to NAME, a line; take wants STORE STATEMENT");
	r = cof_crypto_init(SECURE_BYTES, &diag);
	if (r == 0)
		r = store_open(argv[optind + 1], &h.store, &diag);
	if (r == 0)
		r = gives ? give(&h, &diag) : take(&h, argv[optind + 2], &diag);
	store_close(&h.store);
	return r < 0 ? failure(&diag) : h.open ? EXIT_OPEN : EXIT_OK;
}

const struct verb verb_handover = {
    .name = "handover",
    .args = "give|take STORE [STATEMENT]",
    .summary = "an archive goes to a successor, proven complete",
    .text = "give prints a statement of what is handed over: the newest signed head and the recovery envelope that there is. The successor gets "
	    "the archive from a vault (coffer restore), and makes new keys, people and envelope of its own. take then verifies all of it, that "
	    "it is the history of the statement and not a frame less, and that nothing of the one before is left: keys, people, envelope. What "
	    "is open is told; complete it goes on record, with the statement.\n"
	    "\n"
	    "  coffer handover give /srv/ledger --to 'the successor' > ledger.handover\n"
	    "  coffer handover take /srv/ledger ledger.handover\n"
	    "\n"
	    "Exit code: 0 done, 1 failed, 2 wrong usage, 3 something is open.",
    .options = options,
    .run = run,
    .takes_files = true,
    .actions = "give take",
};
