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
static void say_keys(const struct vault_place *v, const struct bundle_about *a, struct cof_json *into)
{
	cof_autobuf struct cof_buf recipient = {0}, keys = {0};
	struct cof_io *io = NULL;

	if (vault_recipient_line(v, &recipient) == 0 && recipient.len) {
		recipient.data[recipient.len - 1] = 0; /* for the line's end */
		cof_json_set_str(into, "recipient", (const char *)recipient.data);
	}
	if (vault_place_archive(v, a->archive, &io, NULL) == 0 && vault_keys_line(v, io, a->archive, &keys) == 0)
		cof_json_set_str(into, "keys", (const char *)keys.data);
	cof_io_free(io);
}

/* Never over one that is there, which may not have been carried back yet. */
static int write_receipt(const char *path, const struct vault_place *v, const struct bundle_about *a, const char *note, const char *notices,
			 struct cof_json *receipts, struct cof_diag *diag)
{
	cof_autojson struct cof_json *o = cof_json_object();
	char id[33];
	const char *text;
	int fd, r = 0;

	cof_hex(a->archive, 16, id);
	cof_json_set_uint(o, "format", 1);
	cof_json_set_str(o, "archive", id);
	cof_json_set_str(o, "note", note);
	if (notices)
		cof_json_set_str(o, "notices", notices);
	if (cof_json_count(receipts))
		cof_json_set(o, "receipts", cof_json_ref(receipts));
	say_keys(v, a, o);
	text = cof_json_text(o, true);
	if (!text)
		return cof_fail(diag, -ENOMEM, "out of memory");
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0 || cof_write_all(fd, text, strlen(text)) < 0 || fsync(fd) < 0)
		r = cof_fail(diag, -errno, "%s cannot be written: %s. The vault has taken the bundle: the next one's receipt is as good", path,
			     strerror(errno));
	if (fd >= 0)
		close(fd);
	return r;
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
		r = write_receipt(receipt, &v, bundle_about(b), note, notices, receipts, diag);
	if (r == 0)
		printf("Taken: frames %llu to %llu. The receipt, for the host: %s\n", (unsigned long long)bundle_about(b)->from,
		       (unsigned long long)bundle_about(b)->to, receipt);
	if (r == 0 && notices)
		complain("%s", notices);
	bundle_close(b);
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
						{"no-new", 0, NULL, 'N'},  {0}};
	struct vault_serve p = {.told = told};
	struct cof_diag diag = {""};
	const char *receipt = NULL;
	uint8_t only[16];
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		if (o == 'r')
			receipt = optarg;
		else if (o == 'N')
			p.no_new = true;
		else if (o == 'a' && strlen(optarg) == 32 && cof_unhex(optarg, 32, only) == 0)
			p.only = only;
		else if (o != 'q' || cof_size_parse(optarg, &p.quota) < 0)
			return misused("receive takes --receipt FILE, --archive ID, --quota SIZE and --no-new");
	}
	if (argc - optind < 2 || !receipt)
		return misused("receive wants DIR, the bundle's files, and --receipt FILE");
	openlog("coffer-vault", LOG_PID, LOG_AUTHPRIV);
	if (cof_crypto_init(SECURE_BYTES, &diag) < 0 ||
	    receive(argv[optind], (const char *const *)argv + optind + 1, (unsigned)(argc - optind - 1), receipt, &p, &diag) < 0)
		return fail_with(&diag);
	return 0;
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
