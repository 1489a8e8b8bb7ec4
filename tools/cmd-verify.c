/* SPDX-License-Identifier: Apache-2.0 */
/* coffer verify: is it all there, unaltered? The verdict is the exit code. */
#include "crypto/stamp.h"
#include "fs/sshsig/sshsig.h"
#include "tools/coffer.h"
#include "tools/verify-say.h"

#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>

#define SECURE_BYTES (256u << 10) /* an identity file, its secrets; each page costs time at the start */

enum { OPT_VKEY, OPT_AUDITOR, OPT_AUDITOR_KEY, OPT_TPM, OPT_SINCE, OPT_TSA, OPT_VAULT_KEY, OPT_JSON };

static const struct tool_option options[] = {
    [OPT_VKEY] = {"vkey", "KEY",
		  "the archive's verifier key, from a copy kept elsewhere. Without it the "
		  "key in the archive itself is used, which is only claimed"},
    [OPT_AUDITOR] = {"auditor-secret", "FILE",
		     "recomputes the seal of every frame with the secret that "
		     "coffer init --auditor-secret wrote",
		     true},
    [OPT_AUDITOR_KEY] = {"auditor-key", "FILE",
			 "the same with an age identity (AGE-SECRET-KEY-1...) to which seal/auditor.age in the "
			 "store is sealed; or a file as --auditor-secret takes it",
			 true},
    [OPT_TPM] = {"tpm", "WHERE",
		 "asks the archive's TPM whether its anchor says the same as the log: device:/dev/tpmrm0, "
		 "swtpm:host=H,port=P or the path of a socket",
		 true},
    [OPT_SINCE] = {"since", "CHECKPOINT",
		   "a checkpoint of this archive that was kept (a file): proves that the newest "
		   "one holds all that it covers, and verifies the frames from there on only",
		   true},
    [OPT_TSA] = {"tsa-ca", "FILE",
		 "certificates (PEM) of those whose time stamps count as proof. Without it each token is checked, "
		 "and counts as claimed",
		 true},
    [OPT_VAULT_KEY] = {"vault-key", "KEY", "a vault whose cosignatures count as proof, from a copy kept elsewhere; up to 16 times. Without it each is "
					   "checked, with the key that the archive itself names"},
    [OPT_JSON] = {"json", NULL, "one JSON object instead of text"},
    {0},
};

static void verifying_done(struct verifying *v)
{
	store_close(&v->store);
	auditors_done(&v->auditors);
	cof_json_free(v->findings);
	cof_judge_places_free(v->places);
	free(v->since);
	cof_buf_done(&v->tsa_ca);
}

/* ---- running ---- */

static void on_progress(void *user, uint64_t done, uint64_t total)
{
	struct verifying *v = user;

	progress_update(&v->progress, done, total);
}

/* Kept until the end: a daemon that comes or goes meanwhile makes it all be done again. */
static void on_finding(void *user, const struct cof_finding *f)
{
	struct verifying *v = user;
	struct cof_json *o = cof_json_object();

	cof_json_set_str(o, "verdict", cof_verdict_name(f->verdict));
	cof_json_set_bool(o, "note", f->verdict == COF_INTACT);
	if (f->file[0])
		cof_json_set_str(o, "file", f->file);
	if (f->segment >= 0) {
		cof_json_set_int(o, "segment", f->segment);
		cof_json_set_uint(o, "offset", f->offset);
	} else if (!strncmp(f->file, "tile/", 5)) {
		cof_json_set_uint(o, "offset", f->offset);
	}
	if (f->sequence >= 0)
		cof_json_set_int(o, "sequence", f->sequence);
	if (f->object)
		cof_json_set_uint(o, "object", f->object);
	cof_json_set_str(o, "text", f->text);
	cof_json_append(v->findings, o);
}

static int stamp_differs(struct cof_diag *diag)
{
	return cof_fail(diag, -EBADMSG, "the frame says something else of it than the token does");
}

/* The token once more, and that the frame says of it what it says. */
static int on_stamp(void *user, const struct cof_frame *f COF_UNUSED, const void *fields, size_t n,
		    struct cof_when *ret, struct cof_diag *diag)
{
	struct verifying *v = user;
	struct cof_field token, note;
	struct cof_stamp s;
	uint8_t hash[COF_HASH];
	int64_t time = 0, accuracy = 0;
	int r;

	if (cof_field_find(fields, n, COF_T_TOKEN, &token) < 0 || cof_field_find(fields, n, COF_T_NOTE, &note) < 0 ||
	    cof_field_i64(fields, n, COF_T_PROOF_TIME, &time) < 0 ||
	    cof_field_i64(fields, n, COF_T_ACCURACY, &accuracy) < 0)
		return cof_fail(diag, -EUCLEAN, "a field is missing");
	r = v->tsa_ca.len ? cof_stamp_open(token.value, token.len, v->tsa_ca.data, v->tsa_ca.len, &s, diag)
			  : -EKEYREJECTED;
	if (r == -EKEYREJECTED) /* by nobody who is trusted: it may hold all the same */
		r = cof_stamp_open(token.value, token.len, NULL, 0, &s, diag);
	if (r < 0)
		return r == -EOPNOTSUPP ? 0 : r;
	cof_sha256(note.value, note.len, hash);
	if (memcmp(hash, s.imprint, COF_HASH) != 0)
		return cof_fail(diag, -EBADMSG, "its token is for something else");
	if (s.time != time || s.accuracy != accuracy)
		return stamp_differs(diag);
	*ret = (struct cof_when){s.time - s.accuracy, s.time + s.accuracy};
	return s.trusted;
}

/* Which vault, and what it said last: a later one of the same vault covers more. */
static bool on_cosign(void *user, const struct cof_cosign *c)
{
	struct verifying *v = user;
	struct verify_vault *at = NULL;

	for (unsigned i = 0; i < v->n_vaults && !at; i++)
		at = cof_equal(v->vault[i].newest.vkey.public_key, c->vkey.public_key, 32) ? &v->vault[i] : NULL;
	if (!at && v->n_vaults < VAULT_KEYS) {
		at = &v->vault[v->n_vaults++];
		*at = (struct verify_vault){.count = 0};
		for (unsigned i = 0; i < v->n_vault_keys; i++)
			at->known |= cof_equal(v->vault_key[i].public_key, c->vkey.public_key, 32) &&
				     !strcmp(v->vault_key[i].name, c->vkey.name);
	}
	if (!at)
		return false;
	at->newest = *c;
	at->count++;
	return at->known;
}

static int look_at_lock(struct verifying *v, struct cof_diag *diag)
{
	int r = cof_io_locked(v->store.io, v->holder, sizeof(v->holder));

	if (r < 0)
		return cof_fail(diag, r, "cannot look at %s/lock: %s", v->store.path, strerror(-r));
	if (!r)
		v->holder[0] = '\0';
	return r;
}

static void on_frame(void *user, const struct cof_frame *f, uint64_t address)
{
	struct verifying *v = user;

	cof_judge_places_add(v->places, f, address);
}

static int verify_once(struct verifying *v, struct cof_diag *diag)
{
	struct cof_verify_params p = {
	    .io = v->store.io,
	    .vkey = v->vkey_given ? &v->vkey : NULL,
	    .auditors = v->auditors.secret,
	    .n_auditors = v->auditors.n,
	    .auditor_archive_id = v->auditors.has_id ? v->auditors.archive_id : NULL,
	    .live = v->live,
	    .since = v->since,
	    .since_len = v->since_len,
	    .stamp = on_stamp,
	    .cosign = on_cosign,
	    .progress = on_progress,
	    .finding = on_finding,
	    .user = v,
	};

	cof_json_free(v->findings);
	v->findings = cof_json_array();
	v->n_vaults = 0;
	cof_judge_places_free(v->places);
	v->places = NULL;
	if (!v->since && cof_judge_places_new(&v->places) == 0)
		p.frame = on_frame;
	return v->findings ? cof_log_verify(&p, &v->result, diag)
			   : cof_fail(diag, -ENOMEM, "out of memory");
}

/* ---- what people signed ---- */

static void raise_verdict(struct verifying *v, enum cof_verdict to)
{
	if (v->result.verdict == COF_INTACT || (v->result.verdict < COF_TRUNCATED && to > v->result.verdict))
		v->result.verdict = to;
}

/* A request or approval that does not count has no effect: a note. Anything else was done, and might not be. */
static void on_not_permitted(void *user, uint64_t sequence, const char *type, const char *rule, const char *reason)
{
	struct verifying *v = user;
	bool effect = strcmp(type, "request") != 0 && strcmp(type, "approval") != 0;
	struct cof_finding f = {.verdict = effect ? COF_TAMPERED : COF_INTACT, .segment = -1, .sequence = (int64_t)sequence};

	snprintf(f.text, sizeof(f.text), "%s frame %" PRIu64 " %s (%s): %.380s", type, sequence,
		 effect ? "does what nobody permitted" : "does not count", rule, reason);
	on_finding(v, &f);
	if (effect)
		raise_verdict(v, COF_TAMPERED);
}

static void judge_people(struct verifying *v)
{
	struct cof_judge_store p = {
	    .places = v->places, .verify = cof_sshsig_verify, .finding = on_not_permitted, .user = v};
	struct cof_finding f = {.verdict = COF_INCOMPLETE, .segment = -1, .sequence = -1};
	struct cof_diag why = {""};

	if (v->result.verdict == COF_NOT_AN_ARCHIVE || v->result.verdict == COF_WRONG_KEY)
		return;
	if (cof_store_judge(v->store.io, &p, &v->judged, &why) == 0)
		return;
	snprintf(f.text, sizeof(f.text), "%s", why.text);
	on_finding(v, &f);
	raise_verdict(v, COF_INCOMPLETE);
}

static int ignore(void *user COF_UNUSED, struct cof_json *line COF_UNUSED)
{
	return 0;
}

/* So that what was written until now is looked at too. Without an answer (only root may ask) the
 * check ends where the newest checkpoint does, and the findings say so. */
static void ask_for_checkpoint(struct verifying *v)
{
	cof_autojson struct cof_json *request = cof_json_object();
	struct cof_diag why = {""};

	cof_json_set_str(request, "verb", "checkpoint");
	if (cof_conf_load(v->store.io, &v->store.conf, &why) == 0)
		(void)store_ask(&v->store, request, ignore, NULL, &why);
}

/* A mount that began while we read would look like an unclean end, or worse: then once more, as
 * beside a daemon. */
static int verify(struct verifying *v, struct cof_diag *diag)
{
	int r = look_at_lock(v, diag);

	if (r < 0)
		return r;
	v->live = r > 0;
	if (v->live)
		ask_for_checkpoint(v);
	r = verify_once(v, diag);
	if (r < 0 || v->live || v->result.verdict == COF_INTACT)
		return r;
	r = look_at_lock(v, diag);
	if (r <= 0)
		return r;
	v->live = true;
	return verify_once(v, diag);
}

static int load_since(struct verifying *v, const char *path, struct cof_diag *diag)
{
	cof_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	int r = fd < 0 ? -errno : 0;

	v->since = malloc(COF_NOTE_MAX);
	if (!r)
		r = v->since ? cof_read_all(fd, v->since, COF_NOTE_MAX, &v->since_len) : -ENOMEM;
	return r < 0 ? cof_fail(diag, r, "cannot read the checkpoint %s: %s", path, strerror(-r))
		     : 0;
}

static int load_ca(struct verifying *v, const char *path, struct cof_diag *diag)
{
	cof_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	cof_autofree char *text = malloc(COF_STAMP_CA_MAX);
	size_t n = 0;
	int r = fd < 0 ? -errno : text ? cof_read_all(fd, text, COF_STAMP_CA_MAX, &n) : -ENOMEM;

	if (r == 0 && !memmem(text, n, "-----BEGIN CERTIFICATE-----", 27))
		return cof_fail(diag, -EUCLEAN, "%s has no certificate in PEM", path);
	if (r == 0)
		cof_buf_add(&v->tsa_ca, text, n);
	return r < 0 ? cof_fail(diag, r, "cannot read %s: %s", path, strerror(-r)) : 0;
}

static int prepare(struct verifying *v, const char *arg, const char *auditor, struct cof_diag *diag)
{
	int r = cof_crypto_init(SECURE_BYTES, diag);

	if (r == 0)
		r = store_find(arg, &v->store, diag);
	if (r < 0 || !auditor)
		return r;
	return auditors_load(auditor, v->by_key ? v->store.path : NULL, v->store.io, &v->auditors, diag);
}

/* ---- the verb ---- */

static int take_options(const struct verb *self, int argc, char **argv, struct verifying *v,
			const char **ret_auditor, const char **ret_since, const char **ret_tsa,
			bool *ret_json)
{
	int option;

	while ((option = option_next(self, argc, argv)) >= 0) {
		if (option == OPT_JSON)
			*ret_json = true;
		else if (option == OPT_AUDITOR)
			*ret_auditor = optarg;
		else if (option == OPT_AUDITOR_KEY) {
			*ret_auditor = optarg;
			v->by_key = true;
		} else if (option == OPT_TPM)
			v->anchor.tpm = optarg;
		else if (option == OPT_SINCE)
			*ret_since = optarg;
		else if (option == OPT_TSA)
			*ret_tsa = optarg;
		else if (option == OPT_VAULT_KEY) {
			if (v->n_vault_keys == VAULT_KEYS || cof_vkey_parse(optarg, &v->vault_key[v->n_vault_keys]) < 0 ||
			    v->vault_key[v->n_vault_keys++].algorithm != COF_NOTE_COSIG)
				return misuse("--vault-key takes a vault's key, NAME+ID+KEY, as coffer-vault status prints it");
		}
		else if (cof_vkey_parse(optarg, &v->vkey) < 0)
			return misuse(
			    "--vkey takes a verifier key, NAME+ID+KEY, as coffer status prints it");
		else
			v->vkey_given = true;
	}
	if (option != OPTION_END)
		return option_exit(option);
	return operands_are(self, argc, argv, 1) ? -1 : EXIT_USAGE;
}

static int run(const struct verb *self, int argc, char **argv)
{
	struct verifying v = {.progress = PROGRESS_INIT};
	struct cof_diag diag = {""};
	const char *auditor = NULL, *since = NULL, *tsa = NULL;
	bool json = false;
	int r, code;

	/* a key id is a hash */
	if (cof_crypto_init(SECURE_BYTES, &diag) < 0)
		return failure(&diag);
	code = take_options(self, argc, argv, &v, &auditor, &since, &tsa, &json);
	if (code >= 0)
		return code;
	r = since ? load_since(&v, since, &diag) : 0;
	if (r == 0 && tsa)
		r = load_ca(&v, tsa, &diag);
	if (r == 0)
		r = prepare(&v, argv[optind], auditor, &diag);
	if (r == 0)
		r = anchor_ask(&v.anchor, v.store.io, &diag);
	if (r == 0)
		r = verify(&v, &diag);
	if (r == 0)
		judge_people(&v);
	if (r == 0)
		anchor_judge(&v.anchor, &v.result);
	progress_clear(&v.progress);
	if (r < 0) {
		code = failure(&diag);
	} else {
		code = v.result.verdict;
		if (json)
			verify_tell_json(&v);
		else
			verify_tell_text(&v);
	}
	verifying_done(&v);
	return code;
}

const struct verb verb_verify = {
    .name = "verify",
    .args = "STORE",
    .summary = "whether all of it is there, unaltered",
    .text =
	"Reads every byte of the log and checks frames, chain, tree, checkpoint and tiles; with "
	"--auditor-key the seals too. It needs no key that opens the archive, changes nothing, "
	"and works beside a mounted one.\n"
	"\n"
	"Example: check each night what came since the last one\n"
	"  coffer verify STORE --since kept.note && cp STORE/checkpoint kept.note\n"
	"\n"
	"The exit code is the verdict:\n"
	"   0  intact\n"
	"  10  unsealed tail: the last frames are not under a checkpoint yet\n"
	"  11  incomplete: something that can be made anew is missing or damaged\n"
	"  12  truncated: frames are missing that were there\n"
	"  13  tampered: what is there is not what was written\n"
	"  14  wrong key: of another archive\n"
	"  15  not an archive\n"
	"   1  could not run\n"
	"   2  wrong usage",
    .options = options,
    .run = run,
    .takes_files = true,
};
