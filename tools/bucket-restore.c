/* SPDX-License-Identifier: Apache-2.0 */
/* coffer restore, out of a bucket. */
#include "tools/buckets.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

struct restoring {
	struct cof_io *io;
	bool envelope;
	struct progress progress;
};

static void progressed(void *user, uint64_t done, uint64_t total)
{
	struct restoring *r = user;

	progress_update(&r->progress, done, total);
}

static void told(void *user, const char *line)
{
	struct restoring *r = user;
	cof_autofree char *shown = escaped(line);

	progress_clear(&r->progress);
	fprintf(stderr, "%s\n", shown ? shown : "?");
}

static int keep_envelope(void *user, const void *p, size_t n, struct cof_diag *diag)
{
	struct restoring *r = user;
	int err = cof_io_mkdir(r->io, "seal");

	if (err == 0)
		err = cof_io_sync_dir(r->io, "");
	if (err == 0 || err == -EEXIST)
		err = cof_io_replace(r->io, "seal/recovery.age", p, n);
	r->envelope = err == 0;
	return err < 0
		   ? cof_fail(diag, err, "seal/recovery.age cannot be written: %s", strerror(-err))
		   : 0;
}

/* Empty, or where this very restoring was cut off: a log without keys, of this archive. */
static int is_ours(struct restoring *r, const char *dir, const uint8_t id[16],
		   struct cof_diag *diag)
{
	struct cof_conf conf;
	int err = cof_io_exists(r->io, "archive.conf");

	if (err != 1)
		return err;
	err = cof_conf_load(r->io, &conf, diag);
	if (err == 0 && (memcmp(conf.id, id, 16) || cof_io_exists(r->io, "keys") != 0))
		err = cof_fail(diag, -EEXIST,
			       "%s is an archive already, and not one whose restoring was cut off",
			       dir);
	return err;
}

static void say(const struct restoring *r, const char *dir, const struct s3_fetched *f)
{
	cof_autofree char *store = shell_word(dir);
	char size[24], when[32];

	cof_size_text(f->bytes, size);
	cof_time_text(f->time, when);
	printf("Restored to %s: %" PRIu64
	       " frames, %s read, each verified against the head that the archive signed.\n",
	       dir, f->size, size);
	if (f->time)
		printf("That head was put there at %s, as the server says.\n", when);
	if (f->markers)
		printf("%" PRIu64 " delete marker%s lay over what was read: somebody tried to make "
				  "it unfindable.\n",
		       f->markers, plural(f->markers));
	printf("Freshness is not proven: a bucket may be behind, and signs nothing. A vault's "
	       "newest head tells (coffer-vault status).\n");
	if (r->envelope)
		printf("Next: coffer recover %s --identity FILE --new-key-file FILE   # opens the "
		       "recovery envelope that came along\n",
		       store ? store : "STORE");
	else
		printf("No recovery envelope came along. With a copy of it:\n"
		       "  coffer recover %s --envelope FILE --identity FILE --new-key-file FILE\n",
		       store ? store : "STORE");
}

static int note_source(struct restoring *r, const char *url, const struct s3_fetched *f, struct cof_diag *diag)
{
	char text[COF_RESTORED_MAX];
	int n = snprintf(text, sizeof(text), "%.900s, %" PRIu64 " frames", url, f->size);
	int err = cof_io_replace(r->io, COF_RESTORED, text, (size_t)n);

	return err < 0 ? cof_fail(diag, err, "where it came from cannot be noted: %s", strerror(-err)) : 0;
}

int bucket_restore(const char *url, const char *dir, const uint8_t id[16],
		   const struct cof_vkey *log_vkey, const struct bucket_args *a,
		   struct cof_diag *diag)
{
	struct restoring r = {.progress = PROGRESS_INIT};
	struct s3_fetching p = {.id = id,
				.vkey = log_vkey,
				.envelope = keep_envelope,
				.told = told,
				.progress = progressed,
				.user = &r};
	struct s3_fetched fetched;
	struct s3_target target;
	struct s3 *server = NULL;
	int err = bucket_target(a, url, &target, diag);

	if (err == 0)
		err = s3_open(&target, &server, diag);
	if (err == 0 && mkdir(dir, 0700) < 0 && errno != EEXIST)
		err = cof_fail(diag, -errno, "cannot make %s: %s", dir, strerror(errno));
	if (err == 0)
		err = cof_io_plain(dir, &r.io, diag);
	if (err == 0)
		err = is_ours(&r, dir, id, diag);
	p.io = r.io;
	if (err == 0)
		err = s3_fetch(server, &p, &fetched, diag);
	progress_clear(&r.progress);
	if (err == 0)
		err = note_source(&r, url, &fetched, diag);
	if (err == 0)
		say(&r, dir, &fetched);
	cof_io_free(r.io);
	s3_close(server);
	return err;
}
