/* SPDX-License-Identifier: Apache-2.0 */
/* coffer restore, out of a bucket. */
#include "tools/restore.h"
#include "tools/s3/copy.h"

#include <inttypes.h>
#include <stdio.h>

struct coming {
	struct cof_io *io;
	struct progress progress;
};

static void progressed(void *user, uint64_t done, uint64_t total)
{
	struct coming *r = user;

	progress_update(&r->progress, done, total);
}

static void told(void *user, const char *line)
{
	struct coming *r = user;
	cof_autofree char *shown = escaped(line);

	progress_clear(&r->progress);
	fprintf(stderr, "%s\n", shown ? shown : "?");
}

static int keep_envelope(void *user, const void *p, size_t n, struct cof_diag *diag)
{
	return restore_keep_envelope(((struct coming *)user)->io, p, n, diag);
}

static void say(const struct s3_fetched *f)
{
	char when[32];

	cof_time_text(f->time, when);
	if (f->time)
		printf("The newest head was put into the bucket at %s, as the server says.\n", when);
	if (f->markers)
		printf("%" PRIu64 " delete marker%s lay over what was read: somebody tried to make "
				  "it unfindable.\n",
		       f->markers, plural(f->markers));
}

/* Who is asked for a head later has to know the key that lay there and was believed. */
static int take_key(struct restoring *r, struct cof_diag *diag)
{
	struct cof_conf conf;
	int err = cof_conf_load(r->io, &conf, diag);

	if (err == 0 && r->log_given && !cof_equal(conf.vkey.public_key, r->log.public_key, 32))
		err = cof_fail(diag, -EKEYREJECTED, "the archive there has another key than --log-vkey says");
	if (err == 0)
		r->log = conf.vkey;
	return err == 0 ? vault_copy_open(r->io, &r->copy, diag) : err;
}

/* Files are copied out in several runs: the log need not come each time. */
static int use_again(struct restoring *r, struct cof_diag *diag)
{
	cof_autofree char *dir = escaped(r->dir);
	int err = restore_place(r->dir, r->id, &r->io, diag);

	if (err != 1 || cof_io_exists(r->io, "checkpoint") != 1) {
		cof_io_free(r->io);
		r->io = NULL;
		return COF_MIN(err, 0);
	}
	err = take_key(r, diag);
	if (err < 0)
		return err;
	printf("What was restored to %s before is used; what came to the bucket since is not looked for.\n", dir ? dir : "?");
	return 1;
}

int restore_fetch_bucket(struct restoring *r, struct cof_diag *diag)
{
	struct coming c = {.progress = PROGRESS_INIT};
	struct s3_fetching p = {.id = r->id,
				.vkey = r->log_given ? &r->log : NULL,
				.envelope = keep_envelope,
				.told = told,
				.progress = progressed,
				.user = &c};
	struct s3_fetched fetched;
	struct s3 *server = NULL;
	int err = r->again ? use_again(r, diag) : 0;

	if (err)
		return COF_MIN(err, 0);
	err = s3_open(&r->bucket, &server, diag);
	if (err == 0)
		err = cof_err(restore_place(r->dir, r->id, &r->io, diag));
	p.io = c.io = r->io;
	if (err == 0)
		err = s3_fetch(server, &p, &fetched, diag);
	progress_clear(&c.progress);
	s3_close(server);
	if (err == 0)
		err = take_key(r, diag);
	if (err == 0)
		say(&fetched);
	return err;
}
