/* SPDX-License-Identifier: Apache-2.0 */
/* coffer escrow kit: what has to be in the safe beside the shares. Nothing of it is secret. Needs no archive. */
#include "tools/coffer.h"
#include "tools/file.h"
#include "tools/kit-text.h"

#include "escrow/epoch.h"

#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <sys/stat.h>

#define SECURE_BYTES (1u << 20)

enum { OPT_EPOCH, OPT_ENVELOPE, OPT_OUTPUT };

static const struct tool_option options[] = {
    [OPT_EPOCH] = {"epoch", "FILE", "the epoch's document", true},
    [OPT_ENVELOPE] = {"envelope", "FILE", "an archive's recovery envelope that is sealed to it, STORE/seal/recovery.age", true},
    [OPT_OUTPUT] = {"output", "DIR", "the directory that is made", true, 'o'},
    {0},
};

struct kit {
	const char *epoch_path, *envelope, *output;
	struct cof_epoch epoch;
	int dir;
	struct cof_buf sums;
};

static int take(void *user, int option)
{
	struct kit *k = user;

	*(option == OPT_EPOCH ? &k->epoch_path : option == OPT_ENVELOPE ? &k->envelope : &k->output) = optarg;
	return EXIT_OK;
}

/* ---- files, each with a line of SHA256SUMS ---- */

static int put(struct kit *k, const char *name, const void *p, size_t n, struct cof_diag *diag)
{
	cof_autoclose int fd = openat(k->dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	uint8_t digest[COF_HASH];
	char hex[2 * COF_HASH + 1];
	int r = fd < 0 ? -errno : cof_write_all(fd, p, n);

	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	if (r < 0)
		return cof_fail(diag, r, "%s/%s cannot be written: %s", k->output, name, strerror(-r));
	cof_sha256(p, n, digest);
	cof_hex(digest, sizeof(digest), hex);
	cof_buf_printf(&k->sums, "%s  %s\n", hex, name);
	return 0;
}

/* An age file as it is; to whom it was made, age does not say. */
static int copy_age(struct kit *k, const char *path, const char *name, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf file = {0};
	size_t recipients = 0, others = 0;
	int r = file_load(path, COF_AGE_FILE_MAX, &file, diag);

	if (r < 0)
		return r;
	if (cof_age_recipients(file.data ? (char *)file.data : "", file.len, &recipients, &others) < 0 || recipients != 1 || others)
		return cof_fail(diag, -EUCLEAN, "%s is no age file to one recipient: what coffer escrow seal writes goes into a kit", path);
	return put(k, name, file.data, file.len, diag);
}

static int copy_keys(struct kit *k, char **paths, int n, struct cof_diag *diag)
{
	int r = mkdirat(k->dir, "keys", 0755) < 0 ? -errno : 0;

	for (int i = 0; r == 0 && i < n; i++) {
		const char *slash = strrchr(paths[i], '/'), *base = slash ? slash + 1 : paths[i];
		char name[300];

		if (!*base || strlen(base) > 255 || strpbrk(base, "\n\\"))
			return cof_fail(diag, -EINVAL, "%s: a kit has no file of that name", paths[i]);
		snprintf(name, sizeof(name), "keys/%s", base);
		r = copy_age(k, paths[i], name, diag);
	}
	return r;
}

/* ---- what it says ---- */

static void custodians(const struct cof_epoch *e, struct cof_buf *b)
{
	const struct cof_scheme *s = &e->scheme;

	cof_buf_printf(b, "Epoch %u of the scheme %s%s\n%u of %u groups are needed.\n", e->number, s->name,
		       e->rehearsal ? ", a REHEARSAL" : "", s->threshold, s->n_groups);
	if (*s->call)
		cof_buf_printf(b, "To call: %s\n", s->call);
	for (unsigned i = 0; i < s->n_custodians; i++) {
		const struct cof_custodian *c = &s->custodian[i];

		if (!i || c->group != s->custodian[i - 1].group)
			cof_buf_printf(b, "\nGroup %s: %u of %u\n", s->group[c->group].name, s->group[c->group].threshold,
				       s->group[c->group].members);
		cof_buf_printf(b, "  %s: %s; %s; %s; %s%s%s\n", c->name, c->person, c->place, c->medium,
			       !strcmp(c->recipient, "paper") ? "on a sheet" : "in an age file", *c->contact ? "; " : "", c->contact);
	}
}

static int put_words(struct kit *k, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf b = {0};

	for (unsigned i = 0; i < COF_SLIP39_LIST; i++)
		cof_buf_printf(&b, "%s\n", cof_slip39_word(i));
	return b.failed ? -ENOMEM : put(k, "words.txt", b.data, b.len, diag);
}

static int put_all(struct kit *k, const struct cof_buf *document, char **keys, int n, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf who = {0};
	int r = put(k, "epoch.json", document->data, document->len, diag);

	custodians(&k->epoch, &who);
	if (r == 0)
		r = put(k, "scheme.ini", k->epoch.scheme_text, strlen(k->epoch.scheme_text), diag);
	if (r == 0)
		r = who.failed ? -ENOMEM : put(k, "CUSTODIANS.txt", who.data, who.len, diag);
	if (r == 0)
		r = put(k, "RECOVERY.txt", kit_instructions, strlen(kit_instructions), diag);
	if (r == 0)
		r = put(k, "identity.py", kit_identity_py, strlen(kit_identity_py), diag);
	if (r == 0)
		r = put_words(k, diag);
	if (r == 0)
		r = copy_keys(k, keys, n, diag);
	if (r == 0 && k->envelope)
		r = copy_age(k, k->envelope, "recovery.age", diag);
	if (r == 0)
		r = k->sums.failed ? -ENOMEM : put(k, "SHA256SUMS", k->sums.data, k->sums.len, diag);
	if (r == 0 && fsync(k->dir) < 0)
		r = -errno;
	return r;
}

static int act(struct kit *k, char **keys, int n, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf document = {0};
	int r = file_load(k->epoch_path, COF_EPOCH_MAX, &document, diag);

	if (r == 0)
		r = cof_epoch_parse(document.data ? (char *)document.data : "", document.len, &k->epoch, diag);
	if (r < 0)
		return r;
	if (!cof_epoch_valid(&k->epoch) && !k->epoch.rehearsal)
		return cof_fail(diag, -EPERM, "epoch %u is not valid yet: not every custodian has confirmed to have the share", k->epoch.number);
	if (mkdir(k->output, 0755) < 0)
		return cof_fail(diag, -errno, "%s cannot be made: %s", k->output, strerror(errno));
	k->dir = open(k->output, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = k->dir < 0 ? -errno : put_all(k, &document, keys, n, diag);
	if (r < 0)
		return cof_fail(diag, r, "%s; %s is not whole", *diag->text ? diag->text : strerror(-r), k->output);
	printf("%s has %d key%s%s, the document, custodians, and how to recover without Coffer (RECOVERY.txt). Nothing of it is secret; the\n"
	       "shares are not in it. Put one copy beside each group's shares, on a medium that is read in ten years.\n",
	       k->output, n, n == 1 ? "" : "s", k->envelope ? ", the recovery envelope" : "");
	return 0;
}

static int run(const struct verb *self, int argc, char **argv)
{
	struct kit k = {.dir = -1};
	struct cof_diag diag = {""};
	int option, code = EXIT_OK;

	while ((option = option_next(self, argc, argv)) >= 0)
		(void)take(&k, option);
	if (option != OPTION_END)
		return option_exit(option);
	if (!k.epoch_path || !k.output)
		return misuse("--epoch FILE and --output DIR are wanted");
	if (optind == argc && !k.envelope)
		return misuse("what is to be recovered? KEY.age, or --envelope FILE");
	if (cof_crypto_init(SECURE_BYTES, &diag) < 0 || act(&k, argv + optind, argc - optind, &diag) < 0)
		code = failure(&diag);
	if (k.dir >= 0)
		close(k.dir);
	cof_buf_done(&k.sums);
	cof_epoch_done(&k.epoch);
	return code;
}

const struct verb verb_escrow_kit = {
    .name = "escrow kit",
    .args = "[KEY.age]...",
    .summary = "what has to be in the safe beside the shares",
    .text = "Makes a directory with the ciphertexts (age files of coffer escrow seal, and an archive's recovery envelope), the epoch's "
	    "document and scheme, the custodians to call, the list of words, and instructions in three languages to recover "
	    "with foreign tools alone: any SLIP-39 program, age, python. Nothing of it is secret.\n"
	    "\n"
	    "Example:\n"
	    "  coffer escrow kit ca.age --epoch epoch.json -o kit-2\n"
	    "\n"
	    "Exit code: 0 done, 1 failed, 2 wrong usage.",
    .options = options,
    .run = run,
    .takes_files = true,
};
