/* SPDX-License-Identifier: Apache-2.0 */
/* coffer share: what a custodian does with a share, and what a quorum does. Needs no archive and no network. */
#include "tools/coffer.h"
#include "tools/file.h"
#include "tools/opener.h"
#include "tools/output.h"
#include "tools/share-gather.h"
#include "tools/share-read.h"

#include "base/json.h"
#include "escrow/epoch.h"

#include <getopt.h>
#include <stdio.h>

#define SECURE_BYTES (8u << 20) /* a file that shares open */
#define SHARE_BYTES (1u << 20)	/* one share; each page costs time at the start */
#define FDS_MAX COF_CUSTODIANS_MAX

enum { OPT_EPOCH, OPT_SHARE_FD, OPT_NONCE, OPT_DECRYPT, OPT_OUTPUT, OPT_TO, OPT_REVEAL, OPT_PASSPHRASE_FD, OPT_IDLE, OPT_JSON };

static const struct tool_option options[] = {
    [OPT_EPOCH] = {"epoch", "FILE", "the epoch's document, of the kit or of coffer escrow", true},
    [OPT_SHARE_FD] = {"share-fd", "N", "reads a share's words from the open descriptor N up to its end instead of the terminal; "
				       "several for combine"},
    [OPT_NONCE] = {"nonce", "TEXT", "prove: what is to be signed, as it was given: drill-... or confirm-..."},
    [OPT_DECRYPT] = {"decrypt", "FILE", "combine: an age file that was encrypted to the epoch", true},
    [OPT_OUTPUT] = {"output", "FILE", "combine: where the result goes; a new file, mode 0400", true, 'o'},
    [OPT_TO] = {"to", "RECIPIENT", "combine: encrypts the result to this age recipient again, so that its plaintext reaches no "
				   "disk; may be given several times"},
    [OPT_REVEAL] = {"reveal", NULL, "combine: prints the epoch's secret as an age identity. Whoever sees it opens everything that "
				    "was ever encrypted to this epoch"},
    [OPT_PASSPHRASE_FD] = {"passphrase-fd", "N", "combine: reads the epoch's passphrase from descriptor N instead of the terminal"},
    [OPT_IDLE] = {"idle", "SECONDS", "ends when nobody typed on the terminal for so long; 0: never (900)"},
    [OPT_JSON] = {"json", NULL, "prints one JSON object"},
    {0},
};

struct sharing {
	const char *epoch_path, *nonce, *decrypt, *output;
	int fds[FDS_MAX], passphrase_fd;
	unsigned n_fds, idle;
	uint8_t to[COF_AGE_RECIPIENTS][COF_AGE_KEY];
	size_t n_to;
	bool reveal, json;
	struct cof_epoch epoch;
	bool have_epoch;
	char *words; /* secure memory */
};

/* ---- one share ---- */

static int load_epoch(struct sharing *s, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf text = {0};
	int r;

	if (!s->epoch_path)
		return 0;
	r = file_load(s->epoch_path, COF_EPOCH_MAX, &text, diag);
	if (r == 0)
		r = cof_epoch_parse(text.data ? (char *)text.data : "", text.len, &s->epoch, diag);
	s->have_epoch = r == 0;
	return r;
}

/* The share, and whose it is of the epoch that was given: -1 where none was. */
static int one_share(struct sharing *s, struct cof_slip39_share *share, int *ret_holder, struct cof_diag *diag)
{
	struct cof_epoch_session *session = NULL;
	enum cof_slip39_added added;
	unsigned holder = 0;
	int r = share_read(s->n_fds ? s->fds[0] : -1, "Share", s->idle, s->words, diag);

	if (r == -ECANCELED)
		return cof_fail(diag, r, "no share was given");
	if (r == 0)
		r = cof_slip39_read(s->words, strlen(s->words), share, diag);
	*ret_holder = -1;
	if (r < 0 || !s->have_epoch)
		return r;
	r = cof_epoch_session_new(&s->epoch, &session);
	if (r == 0)
		r = cof_epoch_session_add(session, s->words, strlen(s->words), &added, &holder, diag);
	cof_epoch_session_free(session);
	*ret_holder = (int)holder;
	return r;
}

static void say_share(const struct sharing *s, const struct cof_slip39_share *share, int holder, struct cof_json *o)
{
	uint8_t commitment[32];
	char hex[65];

	if (cof_slip39_commitment(share, commitment) == 0) {
		cof_hex(commitment, sizeof(commitment), hex);
		cof_json_set_str(o, "commitment", hex);
	}
	cof_json_set_uint(o, "set", share->id);
	cof_json_set_uint(o, "group", share->group + 1);
	cof_json_set_uint(o, "groups", share->groups);
	cof_json_set_uint(o, "groups_needed", share->group_threshold);
	cof_json_set_uint(o, "member", share->member + 1);
	cof_json_set_uint(o, "members_needed", share->member_threshold);
	if (holder >= 0) {
		cof_json_set_uint(o, "epoch", s->epoch.number);
		cof_json_set_str(o, "custodian", s->epoch.scheme.custodian[holder].name);
	}
}

static int check(struct sharing *s, struct cof_diag *diag)
{
	cof_autosecret struct cof_slip39_share *share = cof_secret_alloc(sizeof(*share));
	cof_autojson struct cof_json *o = cof_json_object();
	int holder = -1, r = share ? one_share(s, share, &holder, diag) : -ENOMEM;

	if (r < 0)
		return r;
	say_share(s, share, holder, o);
	if (s->json)
		return print_json(o, true);
	printf("The words fit together: member %u of group %u (%u of its members suffice), set %u.\n", share->member + 1, share->group + 1,
	       share->member_threshold, share->id);
	if (holder >= 0)
		printf("It is the share of %s in epoch %u%s.\n", s->epoch.scheme.custodian[holder].name, s->epoch.number,
		       s->epoch.rehearsal ? ", a rehearsal" : "");
	else
		printf("Whether it is the one that was given shows with --epoch. Its commitment: %s\n", cof_json_str(o, "commitment"));
	return 0;
}

static int prove(struct sharing *s, struct cof_diag *diag)
{
	cof_autosecret struct cof_slip39_share *share = cof_secret_alloc(sizeof(*share));
	cof_autojson struct cof_json *o = cof_json_object();
	char proof[COF_PROOF_TEXT];
	int holder = -1, r = share ? one_share(s, share, &holder, diag) : -ENOMEM;

	if (r == 0)
		r = cof_proof_make(share, s->nonce, proof);
	if (r < 0)
		return r;
	if (!s->json) {
		printf("%s\n", proof);
		return 0;
	}
	say_share(s, share, holder, o);
	cof_json_set_str(o, "nonce", s->nonce);
	cof_json_set_str(o, "proof", proof);
	return print_json(o, true);
}

/* ---- a quorum ---- */

static int reveal(const uint8_t identity[COF_AGE_KEY])
{
	cof_autosecret char *text = cof_secret_alloc(COF_AGE_IDENTITY);

	if (!text)
		return -ENOMEM;
	cof_age_identity_text(identity, text);
	(void)setvbuf(stdout, NULL, _IONBF, 0); /* no copy of it in a buffer */
	return puts(text) < 0 ? -EIO : 0;
}

static int combine(struct sharing *s, struct cof_diag *diag)
{
	cof_autosecret uint8_t(*identity)[COF_AGE_KEY] = cof_secret_alloc(sizeof(*identity));
	const struct share_gathering g = {.epoch = &s->epoch,
					  .title = s->reveal ? "To show the epoch's secret" : "To decrypt one file",
					  .fds = s->fds,
					  .n_fds = s->n_fds,
					  .passphrase_fd = s->passphrase_fd,
					  .idle = s->idle};
	const struct share_delivery d = {.input = s->decrypt, .output = s->output, .to = (const uint8_t(*)[COF_AGE_KEY])s->to, .n_to = s->n_to};
	bool canary = false;
	int r = identity ? share_gather(&g, *identity, diag) : cof_fail(diag, -ENOMEM, "no secure memory is left");

	if (r == 0)
		r = s->reveal ? reveal(*identity) : share_deliver(&d, (const uint8_t(*)[COF_AGE_KEY])identity, &canary, diag);
	if (r == 0 && canary)
		fprintf(stderr, "This was a drill's canary, no key: %s goes back to where it came from (coffer escrow drill --recovered).\n", s->output);
	else if (r == 0 && !s->epoch.rehearsal)
		fprintf(stderr, "This was a recovery: a new epoch and new shares are due now (docs/escrow.md).\n");
	return r;
}

/* ---- the verb ---- */

static int take_recipient(struct sharing *s)
{
	if (s->n_to == COF_AGE_RECIPIENTS)
		return misuse("--to: at most %d recipients", COF_AGE_RECIPIENTS);
	if (cof_age_recipient_parse(optarg, strlen(optarg), s->to[s->n_to]) < 0)
		return misuse("--to: not an age recipient (age1...)");
	s->n_to++;
	return EXIT_OK;
}

static int take(struct sharing *s, int option)
{
	switch (option) {
	case OPT_SHARE_FD:
		if (s->n_fds == FDS_MAX)
			return misuse("--share-fd: at most %d", FDS_MAX);
		return opener_take_fd("--share-fd", &s->fds[s->n_fds++]);
	case OPT_PASSPHRASE_FD:
		return opener_take_fd("--passphrase-fd", &s->passphrase_fd);
	case OPT_IDLE:
		return share_take_idle(&s->idle);
	case OPT_TO:
		return take_recipient(s);
	case OPT_REVEAL:
		s->reveal = true;
		return EXIT_OK;
	case OPT_JSON:
		s->json = true;
		return EXIT_OK;
	default:
		*(option == OPT_EPOCH	  ? &s->epoch_path
		  : option == OPT_NONCE	  ? &s->nonce
		  : option == OPT_DECRYPT ? &s->decrypt
					  : &s->output) = optarg;
		return EXIT_OK;
	}
}

typedef int (*action_fn)(struct sharing *s, struct cof_diag *diag);

/* What the action needs, and which it is. */
static int choose(const struct sharing *s, const char *action, action_fn *ret)
{
	bool combining = !strcmp(action, "combine"), proving = !strcmp(action, "prove");

	if (!combining && !proving && strcmp(action, "check") != 0)
		return misuse("the actions are check, prove and combine");
	*ret = combining ? combine : proving ? prove : check;
	if (!combining && (s->decrypt || s->output || s->n_to || s->reveal || s->passphrase_fd >= 0 || s->n_fds > 1))
		return misuse("%s takes one share, --epoch and --json%s", action, proving ? ", and --nonce" : "");
	if (proving != (s->nonce != NULL))
		return misuse("--nonce goes with prove, and prove needs it");
	if (proving && !cof_proof_challenge_ok(s->nonce, NULL))
		return misuse("--nonce: that is not what was given: a word, and six times four letters and digits, with '-' between");
	if (!combining)
		return EXIT_OK;
	if (!s->epoch_path)
		return misuse("combine needs --epoch: by it a wrong share is named");
	if (s->json || s->reveal == (s->decrypt != NULL) || (s->decrypt != NULL) != (s->output != NULL) || (s->n_to && !s->decrypt))
		return misuse("combine takes --decrypt FILE --output FILE [--to RECIPIENT], or --reveal");
	return EXIT_OK;
}

static int run(const struct verb *self, int argc, char **argv)
{
	struct sharing s = {.passphrase_fd = -1, .idle = SHARE_IDLE};
	struct cof_diag diag = {""};
	action_fn act = NULL;
	int option, code, r;

	while ((option = option_next(self, argc, argv)) >= 0) {
		code = take(&s, option);
		if (code)
			return code;
	}
	if (option != OPTION_END)
		return option_exit(option);
	if (!operands_are(self, argc, argv, 1))
		return EXIT_USAGE;
	code = choose(&s, argv[optind], &act);
	if (code)
		return code;
	r = cof_crypto_init(act == combine ? SECURE_BYTES : SHARE_BYTES, &diag);
	if (r == 0)
		r = load_epoch(&s, &diag);
	if (r == 0) {
		s.words = cof_secret_alloc(SHARE_ROOM);
		r = s.words ? act(&s, &diag) : -ENOMEM;
	}
	if (r < 0 && !*diag.text)
		(void)cof_fail(&diag, r, "%s", strerror(-r));
	cof_secret_free(s.words);
	cof_epoch_done(&s.epoch);
	return r < 0 ? failure(&diag) : EXIT_OK;
}

const struct verb verb_share = {
    .name = "share",
    .args = "check|prove|combine",
    .summary = "a custodian's share: check, prove, bring together",
    .text = "For whoever holds a share of an escrow's epoch. No archive and no network are needed. Words are typed without "
	    "echo, one by one or several in a line; four letters of each suffice, a lone '-' takes back the last. What "
	    "is no word of the list is said at once, and never put right by guessing.\n"
	    "\n"
	    "check tells whether the words fit together, and with --epoch whether it is the share that was given, and whose.\n"
	    "\n"
	    "prove signs what --nonce says with a key that is derived from the share, and prints the signature. It gives "
	    "nothing of the share away.\n"
	    "\n"
	    "combine takes shares in any order until they suffice, tells what is missing, and names a wrong one. The secret stays in "
	    "this process, which decrypts one file with it.\n"
	    "\n"
	    "Example:\n"
	    "  coffer share combine --epoch epoch.json --decrypt key.age -o key.pem\n"
	    "\n"
	    "Exit code: 0 done, 1 failed, 2 wrong usage.",
    .options = options,
    .run = run,
    .actions = "check prove combine",
};
