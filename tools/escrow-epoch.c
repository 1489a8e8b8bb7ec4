/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An epoch is made in this process: its secret and its shares are in secure memory, and only ciphertexts reach a disk;
 * sheets of custodians on paper go to a pipe.
 * The document comes last: a directory without one is of an epoch that was never made.
 */
#include "tools/escrow-epoch.h"
#include "tools/file.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#define SCHEME_MAX (128u << 10)

static int put(int dir, const char *name, const void *p, size_t n)
{
	cof_autoclose int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	int r = fd < 0 ? -errno : cof_write_all(fd, p, n);

	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	return r;
}

/* The directory in which the path lies: what was made or renamed in it is there after a power cut, too. */
static int sync_above(const char *path)
{
	cof_autofree char *above = strdup(path);
	cof_autoclose int fd = -1;
	char *slash = above ? strrchr(above, '/') : NULL;

	if (!above)
		return -ENOMEM;
	while (slash && !slash[1] && slash > above) { /* "kit/" */
		*slash = 0;
		slash = strrchr(above, '/');
	}
	if (slash)
		slash[slash == above] = 0;
	fd = open(slash ? above : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

/* Which of them has no recipient; NULL: all have. */
static const char *on_paper(const struct cof_scheme *s)
{
	for (unsigned i = 0; i < s->n_custodians; i++)
		if (!strcmp(s->custodian[i].recipient, "paper"))
			return s->custodian[i].name;
	return NULL;
}

static int check_scheme(const struct epoch_asked *a, const struct cof_buf *text, struct cof_diag *diag)
{
	struct cof_scheme s = {0};
	const char *paper;
	int r = cof_scheme_parse((const char *)text->data, text->len, &s, diag);

	if (r < 0)
		return r;
	paper = on_paper(&s);
	if (paper && a->sheets_fd < 0)
		r = cof_fail(diag, -EINVAL, "%s has no age recipient but paper: say where the sheets go (--sheets-fd 3 3> >(lp))", paper);
	if (!paper && a->sheets_fd >= 0)
		r = cof_fail(diag, -EINVAL, "--sheets-fd: no custodian of this scheme has paper as recipient");
	cof_scheme_done(&s);
	return r;
}

struct handing { /* one challenge, and room for one sheet, for each custodian */
	char challenge[COF_CUSTODIANS_MAX][COF_PROOF_CHALLENGE];
	struct cof_sheet sheet[COF_CUSTODIANS_MAX];
};

static int print_sheets(const struct epoch_asked *a, const struct cof_epoch *e, const struct handing *h, size_t n, struct cof_diag *diag)
{
	const struct sheet_job job = {
	    .epoch = e, .sheets = h->sheet, .n = n, .language = a->language, .html = a->html, .fd = a->sheets_fd};

	return n ? sheet_print(&job, diag) : 0;
}

static int hand_out(const struct epoch_asked *a, const struct cof_epoch *e, struct cof_epoch_shares *shares, int dir,
		    struct cof_json *challenges, struct cof_diag *diag)
{
	cof_autofree struct handing *h = calloc(1, sizeof(*h));
	size_t sheets = 0;
	int r = h ? 0 : -ENOMEM;

	for (unsigned i = 0; r == 0 && i < e->scheme.n_custodians; i++) {
		const char *name = e->scheme.custodian[i].name;
		char file[64];
		cof_autobuf struct cof_buf sealed = {0};

		cof_proof_challenge(COF_PROOF_CONFIRM, h->challenge[i]);
		cof_json_set_str(challenges, name, h->challenge[i]);
		r = cof_epoch_seal_share(e, shares, i, &sealed);
		if (r == -ENOENT) {
			h->sheet[sheets++] =
			    (struct cof_sheet){.holder = i, .words = cof_epoch_words(shares, i), .challenge = h->challenge[i]};
			r = 0;
			continue;
		}
		cof_epoch_forget(shares, i);
		snprintf(file, sizeof(file), "%s.age", name);
		if (r == 0)
			r = put(dir, file, sealed.data, sealed.len);
	}
	return r == 0 ? print_sheets(a, e, h, sheets, diag) : r;
}

static int write_all(const struct epoch_asked *a, const struct cof_epoch *e, struct cof_epoch_shares *shares, struct cof_json *into,
		     struct cof_diag *diag)
{
	const char *path = a->dir;
	struct cof_diag why = {""};
	struct cof_json *challenges = cof_json_object();
	cof_autobuf struct cof_buf doc = {0};
	cof_autoclose int dir = -1;
	int r = mkdir(path, 0755) < 0 ? -errno : 0;

	if (r < 0) {
		cof_json_free(challenges);
		return cof_fail(diag, r, "%s cannot be made: %s", path, strerror(-r));
	}
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = dir < 0 ? -errno : hand_out(a, e, shares, dir, challenges, &why);
	cof_json_set(into, "challenges", challenges);
	if (r == 0)
		r = cof_epoch_write(e, &doc);
	if (r == 0)
		r = put(dir, "epoch.json", doc.data, doc.len);
	if (r == 0 && fsync(dir) < 0)
		r = -errno;
	if (r == 0)
		r = sync_above(path);
	return r < 0 ? cof_fail(diag, r, "what was to be written to %s: %s; nothing of it counts", path, *why.text ? why.text : strerror(-r)) : 0;
}

int escrow_epoch_make(const struct epoch_asked *a, struct cof_json *into, struct cof_diag *diag)
{
	struct cof_epoch_order order = {
	    .number = a->number, .created = cof_now(CLOCK_REALTIME), .exponent = COF_EPOCH_EXPONENT, .rehearsal = a->rehearsal,
	    .secret = a->secret};
	cof_autobuf struct cof_buf text = {0};
	struct cof_epoch_shares *shares = NULL;
	struct cof_epoch e = {0};
	int r = a->sheets_fd >= 0 ? sheet_fd_check(a->sheets_fd, "the descriptor of --sheets-fd", diag) : 0;

	if (r == 0)
		r = file_load(a->scheme, SCHEME_MAX, &text, diag);

	if (r == 0 && !text.len)
		r = cof_fail(diag, -EUCLEAN, "%s is empty", a->scheme);
	if (r == 0)
		r = check_scheme(a, &text, diag);
	if (r == 0)
		r = cof_epoch_make((const char *)text.data, text.len, &order, &e, &shares, diag);
	if (r < 0)
		return r;
	r = write_all(a, &e, shares, into, diag);
	cof_json_set_uint(into, "epoch", e.number);
	cof_json_set_str(into, "recipient", e.recipient);
	cof_json_set_bool(into, "rehearsal", e.rehearsal);
	if (r == 0)
		r = cof_scheme_report(&e.scheme, into);
	cof_epoch_shares_free(shares);
	cof_epoch_done(&e);
	return r;
}

int escrow_epoch_reshare(struct epoch_asked *a, const struct share_gathering *how, struct cof_json *into, struct cof_diag *diag)
{
	cof_autosecret uint8_t *identity = cof_secret_alloc(COF_AGE_KEY);
	int r;

	if (!identity)
		return cof_fail(diag, -ENOMEM, "no secure memory is left");
	if (a->number <= how->epoch->number)
		return cof_fail(diag, -EINVAL, "the new shares' epoch has a number of its own, beyond %u: --number N", how->epoch->number);
	a->rehearsal = how->epoch->rehearsal;
	r = share_gather(how, identity, diag);
	a->secret = identity;
	if (r == 0)
		r = escrow_epoch_make(a, into, diag);
	a->secret = NULL;
	return r;
}

/* ---- confirming ---- */

static int replace(const char *path, const struct cof_buf *doc, struct cof_diag *diag)
{
	cof_autofree char *next = NULL;
	int r = asprintf(&next, "%s.next", path) < 0 ? -ENOMEM : 0;

	if (r == 0 && unlink(next) < 0 && errno != ENOENT)
		r = -errno;
	if (r == 0)
		r = put(AT_FDCWD, next, doc->data, doc->len);
	if (r == 0 && rename(next, path) < 0)
		r = -errno;
	if (r == 0)
		r = sync_above(path);
	return r < 0 ? cof_fail(diag, r, "%s cannot be replaced: %s", path, strerror(-r)) : 0;
}

static void tell(const struct cof_epoch *e, struct cof_json *into)
{
	struct cof_json *missing = cof_json_array();

	for (unsigned i = 0; i < e->scheme.n_custodians; i++)
		if (!e->holder[i].challenge[0])
			cof_json_append(missing, cof_json_string(e->scheme.custodian[i].name));
	cof_json_set_uint(into, "epoch", e->number);
	cof_json_set_bool(into, "valid", cof_epoch_valid(e));
	cof_json_set_uint(into, "confirmed", e->scheme.n_custodians - cof_json_count(missing));
	cof_json_set(into, "missing", missing);
}

int escrow_epoch_confirm(const char *path, const char *name, const char *challenge, const char *proof, struct cof_json *into,
			 struct cof_diag *diag)
{
	cof_autobuf struct cof_buf text = {0}, again = {0};
	struct cof_epoch e = {0};
	int holder, r = file_load(path, COF_EPOCH_MAX, &text, diag);

	if (r == 0)
		r = cof_epoch_parse(text.data ? (char *)text.data : "", text.len, &e, diag);
	if (r < 0)
		return r;
	holder = cof_epoch_find(&e, name);
	r = holder < 0 ? cof_fail(diag, holder, "no custodian of epoch %u is called %.64s", e.number, name)
		       : cof_epoch_confirm(&e, (unsigned)holder, challenge, proof, diag);
	if (r == 0)
		r = cof_epoch_write(&e, &again);
	if (r == 0)
		r = replace(path, &again, diag);
	if (r == 0)
		tell(&e, into);
	cof_epoch_done(&e);
	return r;
}
