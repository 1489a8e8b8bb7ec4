/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A TPM that takes commands and does not answer, under a mounted archive: writing, feeding and checkpoints go
 * on, and unmounting does not wait for it. And one that is cleared, which is seen at the first reading behind it. 6 s. A
 * software TPM; skipped (77) without.
 */
#include <stdio.h>
#include <time.h>

#include "../../support/swtpm.h"
#include "../../support/tpm-proxy.h"
#include "fs/archive/internal.h"
#include "support.h"

static struct store s;
static struct swtpm sw;
static struct tpm_proxy proxy;
static struct cof_diag diag;
static struct cof_opener_secret by_tpm;

static void setup(void)
{
	swtpm_new(&sw);
	tpm_proxy_start(&proxy, sw.socket);
	store_new(&s, STORE_PLAIN);
	by_tpm = (struct cof_opener_secret){.kind = COF_OPENER_TPM2, .tpm = proxy.socket};
	s.pcrs = 1u << 7;
	s.secret = by_tpm;
	ck_assert_msg(store_init(&s, &diag) == 0, "%s", diag.text);
}

static void teardown(void)
{
	store_done(&s);
	tpm_proxy_stop(&proxy);
	swtpm_remove(&sw);
}

static void open_with_threads(void)
{
	struct cof_archive_params p = {.io = s.io, .secret = &by_tpm, .index_dir = "", .anchor_interval = 1};

	ck_assert_msg(cof_archive_open(&p, &s.archive, &s.opened, &diag) == 0, "%s", diag.text);
	ck_assert_msg(!s.opened.read_only, "%s", s.opened.text);
}

/* ---- what is waited for: the index was fed, a file of the store replaced (the checkpoint is one) ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t more = PTHREAD_COND_INITIALIZER;
static unsigned happened;

static void happens(void)
{
	pthread_mutex_lock(&lock);
	happened++;
	pthread_cond_signal(&more);
	pthread_mutex_unlock(&lock);
}

int __real_cof_index_feed(struct cof_index *ix, uint64_t (*size)(void *user), void *user);
int __wrap_cof_index_feed(struct cof_index *ix, uint64_t (*size)(void *user), void *user);
int __wrap_cof_index_feed(struct cof_index *ix, uint64_t (*size)(void *user), void *user)
{
	int r = __real_cof_index_feed(ix, size, user);

	happens();
	return r;
}

int __real_cof_io_replace(struct cof_io *io, const char *name, const void *p, size_t n);
int __wrap_cof_io_replace(struct cof_io *io, const char *name, const void *p, size_t n);
int __wrap_cof_io_replace(struct cof_io *io, const char *name, const void *p, size_t n)
{
	int r = __real_cof_io_replace(io, name, p, n);

	happens();
	return r;
}

static bool covered(uint64_t size)
{
	return cof_index_fed(s.archive->ix) >= size && cof_signed_size(s.archive) >= size;
}

static void wait_until_covered(uint64_t size)
{
	struct timespec end;
	unsigned seen = 0;
	int r = 0;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += 5;
	while (!covered(size)) {
		pthread_mutex_lock(&lock);
		while (happened == seen && r == 0)
			r = pthread_cond_timedwait(&more, &lock, &end);
		seen = happened;
		pthread_mutex_unlock(&lock);
		ck_assert_msg(r == 0 || covered(size), "held up by the TPM: fed %llu of %llu",
			      (unsigned long long)cof_index_fed(s.archive->ix), (unsigned long long)size);
	}
}

/* Both threads that ask it wait; the keeper and the log's do not. */
START_TEST(nobody_waits)
{
	int64_t began;
	uint64_t file, size;

	open_with_threads();
	file = must_create(&s, AUDIT, "file", COF_KIND_FILE);
	tpm_proxy_hang(&proxy, true);
	tpm_proxy_wait(&proxy);
	must_write(&s, file, 0, "a line\n", 7);
	size = atomic_load(&s.archive->size);
	wait_until_covered(size);
	began = cof_now(CLOCK_MONOTONIC);
	ck_assert_msg(cof_archive_close(s.archive, &diag) == 0, "%s", diag.text);
	s.archive = NULL;
	ck_assert_int_lt(cof_now(CLOCK_MONOTONIC) - began, 8 * COF_NSEC);
	tpm_proxy_hang(&proxy, false);
	open_with_threads();
	ck_assert_uint_eq(s.opened.unproven, 0);
	ck_assert(s.opened.recovered.clean);
	ck_assert_msg(cof_archive_close(s.archive, &diag) == 0, "%s", diag.text);
	s.archive = NULL;
}
END_TEST

/* What is asked without a mount ends too, and says why; the next command is answered. */
START_TEST(says_so)
{
	static const atomic_int patience = 300;
	cof_autotpm struct cof_tpm *t = NULL;
	struct cof_tpm_clock c;

	ck_assert_int_eq(cof_tpm_open_within(proxy.socket, &patience, &t, &diag), 0);
	tpm_proxy_hang(&proxy, true);
	ck_assert_int_eq(cof_tpm_clock_read(t, &c, &diag), -ENODEV);
	ck_assert_msg(strstr(diag.text, "does not answer, or not within 1 s") != NULL, "%s", diag.text);
	ck_assert_int_eq(cof_tpm_cause(t), COF_TPM_GONE);
	ck_assert_int_eq(cof_tpm_clock_read(t, &c, &diag), -ENODEV); /* connected, and no answer to Startup */
	tpm_proxy_hang(&proxy, false);
	ck_assert_msg(cof_tpm_clock_read(t, &c, &diag) == 0, "%s", diag.text);
}
END_TEST

static char alarms[2048];

static void on_alarm(void *user COF_UNUSED, const char *text)
{
	size_t n = strlen(alarms);

	snprintf(alarms + n, sizeof(alarms) - n, "%s\n", text);
}

/* It was proven to be the archive's a moment ago, and is not believed for that: its clock does not go on as it did. */
START_TEST(cleared_is_seen_at_once)
{
	struct cof_archive_params p = {.io = s.io, .secret = &by_tpm, .index_dir = "", .no_threads = true, .alarm = on_alarm,
				       .anchor_interval = 3600 * COF_NSEC};
	int64_t then;

	ck_assert_msg(cof_archive_open(&p, &s.archive, &s.opened, &diag) == 0, "%s", diag.text);
	cof_archive_tick(s.archive);
	ck_assert_int_ne(s.archive->clock.proven_tpm, 0);
	then = cof_clock_retention(&s.archive->clock);
	swtpm_tool(&sw, "clear -c p");
	cof_archive_tick(s.archive);
	ck_assert_msg(strstr(alarms, "is not the archive's, or was cleared") != NULL, "%s", alarms);
	ck_assert_int_eq(cof_clock_retention(&s.archive->clock), then);
	cof_archive_abandon(s.archive);
	s.archive = NULL;
}
END_TEST

int main(void)
{
	TCase *c = tcase_create("tpm-hang");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_set_timeout(c, 60);
	tcase_add_test(c, nobody_waits);
	tcase_add_test(c, says_so);
	tcase_add_test(c, cleared_is_seen_at_once);
	return swtpm_main("tpm-hang", c);
}
