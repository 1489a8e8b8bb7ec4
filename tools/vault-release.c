/* SPDX-License-Identifier: Apache-2.0 */
/* coffer-vault release: the tree R is given out to who restores, by people's signatures under a document of this vault. */
#include "tools/vault-bundle.h"
#include "tools/file.h"
#include "tools/output.h"
#include "tools/vault/vault.h"

#include "fs/rules/approve.h"

#include <getopt.h>
#include <stdio.h>
#include <syslog.h>

#define SECURE_BYTES (4u << 20)
#define SIGNED_MAX 16

struct args {
	const char *dir, *archive, *author, *to, *reason, *request;
	const char *name[SIGNED_MAX];
	struct cof_buf signature[SIGNED_MAX];
	size_t n;
	uint8_t id[16];
};

static int fail_with(const struct cof_diag *diag)
{
	cof_autofree char *shown = escaped(diag->text);

	complain("%s", shown ? shown : "out of memory");
	return 1;
}

static int misused(const char *what)
{
	fprintf(stderr, "coffer-vault: %s\nSee: coffer-vault --help\n", what);
	return EXIT_USAGE;
}

/* NAME=FILE. The name stays in the words of the command. */
static int take_signed(struct args *a, char *text, struct cof_diag *diag)
{
	char *file = strchr(text, '=');

	if (!file || file == text || a->n == SIGNED_MAX)
		return cof_fail(diag, -EINVAL, "--signed wants NAME=FILE, at most %d of them", SIGNED_MAX);
	*file++ = 0;
	a->name[a->n] = text;
	return file_load(file, COF_SIGNATURE_MAX, &a->signature[a->n++], diag);
}

static int take_args(int argc, char **argv, struct args *a, struct cof_diag *diag)
{
	static const struct option options[] = {{"archive", 1, NULL, 'i'}, {"author", 1, NULL, 'a'},  {"to", 1, NULL, 't'},
						{"reason", 1, NULL, 'r'},  {"request", 1, NULL, 'q'}, {"signed", 1, NULL, 's'}, {0}};
	int o, r = 0;

	while (r == 0 && (o = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		switch (o) {
		case 'i': a->archive = optarg; break;
		case 'a': a->author = optarg; break;
		case 't': a->to = optarg; break;
		case 'r': a->reason = optarg; break;
		case 'q': a->request = optarg; break;
		case 's': r = take_signed(a, optarg, diag); break;
		default: return -ENOEXEC;
		}
	}
	if (r == 0 && argc - optind == 1)
		a->dir = argv[optind];
	return r;
}

static const char *misuse_of(struct args *a)
{
	if (!a->dir)
		return "one directory is wanted: DIR";
	if (!a->archive || strlen(a->archive) != 32 || cof_unhex(a->archive, 32, a->id) < 0)
		return "--archive wants the 32 hex digits of an archive's id (coffer-vault status tells them)";
	if (a->request)
		return a->author || a->to || a->reason || !a->n ? "--request goes with --signed NAME=FILE, the author's first, and nothing else"
							      : NULL;
	return !a->author || !a->to || !a->reason || !*a->reason || a->n ? "a document wants --author, --to and --reason" : NULL;
}

static int make_document(const struct vault_place *v, const struct args *a, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf document = {0};
	int r = vault_release_document(v, a->id, a->author, a->to, a->reason, &document, diag);

	if (r < 0)
		return r;
	fwrite(document.data, 1, document.len, stdout);
	fprintf(stderr, "This is signed as it is, to the byte, by %s for coffer-request and by others for coffer-approve; it counts for 30 days, at "
			"this vault, once.\n",
		a->author);
	return 0;
}

static int release(const struct vault_place *v, const struct args *a, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf document = {0}, sealed = {0};
	struct vault_approval signature[SIGNED_MAX];
	int r = file_load(a->request, COF_REQUEST_MAX, &document, diag);

	cof_buf_add(&document, "", 1);
	for (size_t i = 0; r == 0 && i < a->n; i++)
		signature[i] = (struct vault_approval){a->name[i], (const char *)a->signature[i].data};
	if (r == 0 && document.failed)
		r = cof_fail(diag, -ENOMEM, "out of memory");
	if (r == 0)
		r = vault_release(v, a->id, (const char *)document.data, signature, a->n, &sealed, diag);
	openlog("coffer-vault", LOG_PID, LOG_AUTHPRIV);
	syslog(r < 0 ? LOG_WARNING : LOG_ALERT, "archive %s: the tree R was %s%s", a->archive, r < 0 ? "asked for and not released: " : "released",
	       r < 0 ? diag->text : "");
	if (r < 0)
		return r;
	fwrite(sealed.data, 1, sealed.len, stdout);
	fprintf(stderr, "Released, and noted here. Next, where the archive is restored: coffer recover STORE, or coffer restore --to or --drill, ... --vault-keys FILE\n");
	return 0;
}

int vault_release_main(int argc, char **argv)
{
	struct args a = {.n = 0};
	struct cof_diag diag = {""};
	struct vault_place v;
	const char *wrong;
	int r = take_args(argc, argv, &a, &diag);

	if (r == -ENOEXEC)
		return misused("an option that is not known, or without its value");
	wrong = r < 0 ? NULL : misuse_of(&a);
	if (wrong)
		return misused(wrong);
	for (size_t i = 0; r == 0 && i < a.n; i++) { /* as text */
		cof_buf_add(&a.signature[i], "", 1);
		if (a.signature[i].failed || memchr(a.signature[i].data, 0, a.signature[i].len - 1))
			r = cof_fail(&diag, -EUCLEAN, "the signature of %s is no text", a.name[i]);
	}
	if (r == 0)
		r = cof_crypto_init(SECURE_BYTES, &diag);
	if (r == 0)
		r = vault_place_open(a.dir, &v, &diag);
	if (r == 0) {
		r = a.request ? release(&v, &a, &diag) : make_document(&v, &a, &diag);
		vault_place_close(&v);
	}
	for (size_t i = 0; i < a.n; i++)
		cof_buf_done(&a.signature[i]);
	return r < 0 ? fail_with(&diag) : 0;
}
