/* SPDX-License-Identifier: Apache-2.0 */
/* coffer-vault receive and give: bundles that were carried by hand. */
#include "tools/vault-bundle.h"
#include "tools/output.h"
#include "tools/vault/bundle.h"

#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <syslog.h>

#define SECURE_BYTES (4u << 20)

static int fail_with(const struct cof_diag *diag)
{
	cof_autofree char *shown = escaped(diag->text);

	complain("%s", shown ? shown : "out of memory");
	return 1;
}

static void told(void *user COF_UNUSED, const char *line)
{
	syslog(strstr(line, "FORK") ? LOG_ALERT : LOG_WARNING, "%s", line);
}

/* To whom the host may seal the tree R, and which one is here: each signed by itself. */
static void say_keys(const struct vault_place *v, const uint8_t archive[16], struct cof_json *into)
{
	cof_autobuf struct cof_buf recipient = {0}, keys = {0};
	struct cof_io *io = NULL;

	if (vault_recipient_line(v, &recipient) == 0 && recipient.len) {
		recipient.data[recipient.len - 1] = 0; /* for the line's end */
		cof_json_set_str(into, "recipient", (const char *)recipient.data);
	}
	if (vault_place_archive(v, archive, &io, NULL) == 0 && vault_keys_line(v, io, archive, &keys) == 0)
		cof_json_set_str(into, "keys", (const char *)keys.data);
	cof_io_free(io);
}

/* The receipt's name is there after a power cut, too. */
static int sync_name(const char *path, struct cof_diag *diag)
{
	cof_autofree char *dir = strdup(path);
	char *slash = dir ? strrchr(dir, '/') : NULL;
	int fd, r = 0;

	if (!dir)
		return cof_fail(diag, -ENOMEM, "out of memory");
	if (slash)
		slash[slash == dir] = 0;
	fd = open(slash ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || (fsync(fd) < 0 && errno != EINVAL)) /* EINVAL: this filesystem syncs no directories */
		r = cof_fail(diag, -errno, "the directory of %s cannot be synced: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return r;
}

/* Never over one that is there, which may not have been carried back yet. */
static int write_receipt(const char *path, const struct vault_place *v, const uint8_t archive[16], const char *note,
			 const char *notices, struct cof_json *receipts, struct cof_diag *diag)
{
	cof_autojson struct cof_json *o = cof_json_object();
	char id[33];
	const char *text;
	int fd, r = 0;

	cof_hex(archive, 16, id);
	cof_json_set_uint(o, "format", 1);
	cof_json_set_str(o, "archive", id);
	cof_json_set_str(o, "note", note);
	if (notices)
		cof_json_set_str(o, "notices", notices);
	if (cof_json_count(receipts))
		cof_json_set(o, "receipts", cof_json_ref(receipts));
	say_keys(v, archive, o);
	text = cof_json_text(o, true);
	if (!text)
		return cof_fail(diag, -ENOMEM, "out of memory");
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0 || cof_write_all(fd, text, strlen(text)) < 0 || fsync(fd) < 0)
		r = cof_fail(diag, -errno, "%s cannot be written: %s. The vault has taken what was brought: coffer-vault receive DIR --again "
			     "--archive %s --receipt FILE writes the receipt once more", path, strerror(errno), id);
	if (fd >= 0)
		close(fd);
	return r < 0 ? r : sync_name(path, diag);
}

static int receive(const char *dir, const char *const *files, unsigned n, const char *receipt, const struct vault_serve *p,
		   struct cof_diag *diag)
{
	cof_autojson struct cof_json *receipts = cof_json_array();
	cof_autofree char *note = NULL, *notices = NULL;
	struct bundle_in *b = NULL;
	struct vault_place v;
	int r = vault_place_open(dir, &v, diag);

	if (r < 0)
		return r;
	if (access(receipt, F_OK) == 0)
		r = cof_fail(diag, -EEXIST, "%s is there already", receipt);
	if (r == 0)
		r = bundle_open(files, n, &b, diag);
	if (r == 0)
		r = bundle_receive(&v, p, b, &note, &notices, receipts, diag);
	if (r == 0)
		r = write_receipt(receipt, &v, bundle_about(b)->archive, note, notices, receipts, diag);
	if (r == 0)
		printf("Taken: frames %llu to %llu. The receipt, for the host: %s\n", (unsigned long long)bundle_about(b)->from,
		       (unsigned long long)bundle_about(b)->to, receipt);
	if (r == 0 && notices)
		complain("%s", notices);
	bundle_close(b);
	vault_place_close(&v);
	return r;
}

/* What was signed last, once more: the receipt of it was lost, or could not be written. Nothing is signed anew. */
static int again(const char *dir, const uint8_t archive[16], const char *receipt, struct cof_diag *diag)
{
	cof_autojson struct cof_json *receipts = cof_json_array();
	cof_autofree char *note = NULL;
	struct vault_place v;
	int r = vault_place_open(dir, &v, diag);

	if (r < 0)
		return r;
	r = vault_signed_last(&v, archive, &note, receipts, diag);
	if (r == 0 && access(receipt, F_OK) == 0)
		r = cof_fail(diag, -EEXIST, "%s is there already", receipt);
	if (r == 0)
		r = write_receipt(receipt, &v, archive, note, NULL, receipts, diag);
	if (r == 0)
		printf("What this vault signed last, for the host: %s\n", receipt);
	vault_place_close(&v);
	return r;
}

static int misused(const char *what)
{
	fprintf(stderr, "coffer-vault: %s\nSee: coffer-vault --help\n", what);
	return EXIT_USAGE;
}

int bundle_receive_main(int argc, char **argv)
{
	static const struct option options[] = {{"receipt", 1, NULL, 'r'}, {"archive", 1, NULL, 'a'}, {"quota", 1, NULL, 'q'},
						{"no-new", 0, NULL, 'N'},  {"again", 0, NULL, 'A'},   {0}};
	struct vault_serve p = {.told = told};
	struct cof_diag diag = {""};
	const char *receipt = NULL;
	bool once_more = false;
	uint8_t only[16];
	int o, r;

	while ((o = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		if (o == 'r')
			receipt = optarg;
		else if (o == 'N')
			p.no_new = true;
		else if (o == 'A')
			once_more = true;
		else if (o == 'a' && strlen(optarg) == 32 && cof_unhex(optarg, 32, only) == 0)
			p.only = only;
		else if (o != 'q' || cof_size_parse(optarg, &p.quota) < 0)
			return misused("receive takes --receipt FILE, --archive ID, --quota SIZE, --no-new and --again");
	}
	if (once_more && (argc - optind != 1 || !receipt || !p.only))
		return misused("receive --again wants DIR, --archive ID and --receipt FILE, and no bundle");
	if (!once_more && (argc - optind < 2 || !receipt))
		return misused("receive wants DIR, the bundle's files, and --receipt FILE");
	openlog("coffer-vault", LOG_PID, LOG_AUTHPRIV);
	r = cof_crypto_init(SECURE_BYTES, &diag);
	if (r == 0)
		r = once_more ? again(argv[optind], only, receipt, &diag)
			      : receive(argv[optind], (const char *const *)argv + optind + 1, (unsigned)(argc - optind - 1), receipt,
					&p, &diag);
	return r < 0 ? fail_with(&diag) : 0;
}

int bundle_give_main(int argc, char **argv)
{
	struct vault_wire w = {.in = STDIN_FILENO, .out = STDOUT_FILENO, .timeout_ms = -1};
	struct cof_diag diag = {""};
	struct bundle_in *b = NULL;
	int first = argc > 1 && !strcmp(argv[1], "--") ? 2 : 1, r;

	if (argc - first < 1)
		return misused("give wants the bundle's files");
	r = cof_crypto_init(SECURE_BYTES, &diag);
	if (r == 0)
		r = bundle_open((const char *const *)argv + first, (unsigned)(argc - first), &b, &diag);
	if (r == 0)
		r = bundle_give(b, &w, &diag);
	bundle_close(b);
	return r < 0 && r != -ENOTCONN ? fail_with(&diag) : 0;
}
