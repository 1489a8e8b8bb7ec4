/* SPDX-License-Identifier: Apache-2.0 */
/* Making, opening, crashing and verifying; what is checked after each. */
#include "tests/sim/world-private.h"

char world_doing[256];

#define WORLD_QUOTA 1 /* MiB, of audit at first */
#define WORLD_IDLE (3600 * COF_NSEC)
#define WORLD_KEPT (10 * 365 * 86400 * COF_NSEC)

/* ---- making and opening ---- */

void world_new(struct world *w, uint64_t seed, const char *index_dir)
{
	struct cof_diag diag = {""};

	memset(w, 0, sizeof(*w));
	clocks_start(seed);
	audit_start();
	ck_assert_int_eq(cof_crypto_init(4u << 20, &diag), 0);
	w->index_dir = index_dir ? index_dir : "";
	w->key = cof_secret_alloc(48);
	memset(w->key, 42, 48);
	w->sim = cof_sim_new(seed);
	ck_assert_int_eq(cof_sim_open(w->sim, &w->io), 0);
}

static void check_nonces(void)
{
	ck_assert_msg(!audit_repeated(), "%s: of %llu sealed messages %llu repeat a key and nonce",
		      world_doing, (unsigned long long)audit_sealed(),
		      (unsigned long long)audit_repeated());
}

void world_free(struct world *w)
{
	if (w->archive)
		cof_archive_abandon(w->archive);
	world_forget_states(w);
	free(w->state);
	world_forget_nodes(w);
	cof_io_free(w->io);
	cof_sim_free(w->sim);
	cof_sim_free(w->older);
	free(w->older_text);
	cof_secret_free(w->key);
	check_nonces();
}

int world_init(struct world *w)
{
	struct cof_opener_secret secret = {COF_OPENER_FILE, w->key, 48};
	struct cof_shelf_spec shelf[3] = {{.name = "audit"}, {.name = "keys"}, {.name = "idle"}};
	struct cof_init_params p = {.origin = "test.example/sim",
				    .segment_size = WORLD_SEGMENT,
				    .secret = &secret,
				    .shelves = shelf,
				    .n_shelves = 3,
				    .ret_auditor_secret = w->auditor,
				    .ret_archive_id = w->archive_id};
	int r;

	cof_policy_default(&shelf[0].policy);
	cof_policy_default(&shelf[1].policy);
	cof_policy_default(&shelf[2].policy);
	shelf[1].policy.durability = COF_DURABLE_ON_WRITE;
	shelf[2].policy.retention = true;
	shelf[2].policy.retention_default = WORLD_KEPT;
	shelf[2].policy.retention_max = COF_RETAIN_INFINITE;
	shelf[2].policy.autocommit = WORLD_IDLE;
	shelf[0].policy.retention = true;
	shelf[0].policy.retention_default = shelf[0].policy.retention_max = COF_RETAIN_INFINITE;
	shelf[0].policy.quota_bytes = (uint64_t)WORLD_QUOTA << 20;
	r = cof_archive_init(w->io, &p, NULL);
	w->made = r == 0;
	w->ret_seen = w->ret_acked = w->ret_durable = cof_now(CLOCK_REALTIME);
	w->boot_seen = clocks_boottime();
	w->ret_base = w->ret_seen;
	w->passed_base = clocks_passed();
	w->down |= r < 0;
	return r;
}

static void on_alarm(void *user, const char *text)
{
	struct world *w = user;

	w->alarms++;
	if (getenv("COF_SHOW"))
		fprintf(stderr, "%s: alarm: %s\n", world_doing, text);
}

int world_try_open(struct world *w, struct cof_diag *diag)
{
	struct cof_opener_secret secret = {COF_OPENER_FILE, w->key, 48};
	struct cof_archive_params p = {.io = w->io,
				       .secret = &secret,
				       .index_dir = w->index_dir,
				       .alarm = on_alarm,
				       .user = w,
				       .tpm_clock = w->tpm ? &clocks_tpm : NULL,
				       .seal_interval = 1, /* mixed with each tick, where frames came */
				       .no_threads = true};

	return cof_archive_open(&p, &w->archive, &w->opened, diag);
}

static void look_at_clock(struct world *w)
{
	if (!w->archive)
		return;
	w->ret_seen = cof_clock_retention(&w->archive->clock);
	w->boot_seen = clocks_boottime();
	w->rebooted = false;
}

/* The latest that retention time may be now. */
static int64_t latest(const struct world *w)
{
	if (w->tpm)
		return w->ret_base + (clocks_passed() - w->passed_base);
	return w->ret_seen + (w->rebooted ? 0 : clocks_boottime() - w->boot_seen);
}

/* Its MOUNT frame may be on record, with the time that it was then. */
static void look_at_failed_open(struct world *w)
{
	w->ret_seen = COF_MAX(w->ret_seen, latest(w));
	w->boot_seen = clocks_boottime();
}

/* Retention time goes on with the time since boot, over a boot by nothing, and never back behind
 * what is on record: whatever the wall clock did. With a TPM it follows at each reading, and never runs ahead of
 * what truly passed since the last boot, whatever any clock did. */
static void judge_clock(struct world *w, int64_t least)
{
	int64_t now = cof_clock_retention(&w->archive->clock);
	int64_t most = latest(w) + (w->tpm ? COF_NSEC / 10 : 0); /* its readings are in milliseconds */

	ck_assert_msg(now >= least && now <= most, "%s: the retention time is %lld, not in %lld to %lld",
		      world_doing, (long long)now, (long long)least, (long long)most);
}

static void check_clock(struct world *w, int64_t least)
{
	int64_t now = cof_clock_retention(&w->archive->clock);

	judge_clock(w, least);
	look_at_clock(w);
	w->ret_acked = w->ret_durable = COF_MAX(least, COF_MIN(w->ret_acked, now));
}

void world_check_clock(struct world *w)
{
	judge_clock(w, w->ret_acked);
}

int world_open(struct world *w)
{
	struct cof_diag diag = {""};
	int r;

	if (w->down)
		return -ESHUTDOWN;
	r = world_try_open(w, &diag);
	if (r < 0) {
		w->archive = NULL;
		w->down = true;
		look_at_failed_open(w);
		return r;
	}
	check_clock(w, w->ret_durable);
	world_forget_states(w);
	world_take_over(w);
	world_push(w, NULL);
	return 0;
}

int world_close(struct world *w)
{
	struct promise before[WORLD_NODES];
	size_t n = w->promises;
	int r;

	if (w->down)
		return -ESHUTDOWN;
	look_at_clock(w);
	memcpy(before, w->promise, sizeof(before));
	world_promise(w);
	r = cof_archive_close(w->archive, NULL);
	w->archive = NULL;
	if (r < 0)
		w->down = true;
	else
		w->durable = w->acked = w->states - 1;
	if (r < 0) { /* what was about to be promised is not */
		memcpy(w->promise, before, sizeof(before));
		w->promises = n;
	}
	if (r == 0) {
		w->refused_durable = w->refused_flushed = w->refused;
		w->ret_durable = w->ret_acked = w->ret_seen;
	}
	return r;
}

/* ---- crash and after ---- */

void world_crash(struct world *w, enum cof_sim_loss loss)
{
	look_at_clock(w);
	if (w->archive)
		cof_archive_abandon(w->archive);
	w->archive = NULL;
	cof_io_free(w->io);
	cof_sim_reboot(w->sim, loss);
	if (loss != COF_SIM_KEEP) {
		clocks_boot();
		w->rebooted = true;
		w->ret_base = w->ret_seen;
		w->passed_base = clocks_passed();
	}
	ck_assert_int_eq(cof_sim_open(w->sim, &w->io), 0);
	w->down = false;
}

/* An unclean end is told by the frame behind MOUNT, and nothing else is. */
static void check_recovery(struct world *w)
{
	const struct cof_recovered *rec = &w->opened.recovered;
	struct cof_frame f;
	uint64_t at;
	int r = cof_reader_find(w->archive->reader, rec->size, &at, NULL);

	if (r == 0)
		r = cof_reader_header(w->archive->reader, at, &f, NULL, NULL);
	ck_assert_msg(r == 0 && f.type == COF_MOUNT, "%s: no MOUNT frame", world_doing);
	if (rec->clean)
		return;
	r = cof_reader_next(w->archive->reader, at, &f, &at);
	if (r == 0)
		r = cof_reader_header(w->archive->reader, at, &f, NULL, NULL);
	ck_assert_msg(r == 0 && f.type == COF_RECOVERY && f.public_length,
		      "%s: the recovery is not on record", world_doing);
}

/* Of an event: each "refused" says how many it tells of; others are none. */
static uint64_t refusals_in(const struct cof_buf *fields)
{
	struct cof_field name;
	uint64_t count;

	ck_assert_int_eq(cof_field_find(fields->data, fields->len, COF_T_EVENT, &name), 0);
	if (name.len != 7 || memcmp(name.value, "refused", 7) != 0)
		return 0;
	ck_assert_int_eq(cof_field_u64(fields->data, fields->len, COF_T_COUNT, &count), 0);
	return count;
}

static uint64_t refusals_on_record(struct world *w)
{
	struct cof_archive *a = w->archive;
	uint64_t at = 0, sum = 0;
	struct cof_frame f;

	while (cof_reader_header(a->reader, at, &f, NULL, NULL) == 0) {
		struct cof_buf pub = {0}, fields = {0};

		if (f.type == COF_EVENT) {
			int r =
			    cof_frame_read(a->reader, a->ring, a->conf.id, at, &f, &pub, &fields);

			ck_assert_msg(r == 0, "%s: an event cannot be read", world_doing);
			sum += refusals_in(&fields);
		}
		cof_buf_done(&pub);
		cof_buf_done(&fields);
		if (cof_reader_next(a->reader, at, &f, &at) < 0)
			break;
	}
	return sum;
}

/* No refusal that was promised is missing, none is invented. */
static void check_refusals(struct world *w)
{
	uint64_t found = refusals_on_record(w);

	ck_assert_msg(found >= w->refused_durable && found <= w->refused,
		      "%s: %llu refusals on record, of %llu to %llu", world_doing,
		      (unsigned long long)found, (unsigned long long)w->refused_durable,
		      (unsigned long long)w->refused);
	w->refused = w->refused_flushed = w->refused_durable = found;
}

void world_reopen(struct world *w, enum cof_sim_loss loss)
{
	struct cof_diag diag = {""};
	size_t least = loss == COF_SIM_KEEP ? w->acked : w->durable, k;
	int r = world_try_open(w, &diag);
	char *found;

	ck_assert_msg(r == 0, "%s: open: %s: %s", world_doing, strerror(-r), diag.text);
	ck_assert_msg(!w->opened.read_only, "%s: %s", world_doing, w->opened.text);
	check_recovery(w);
	check_clock(w, loss == COF_SIM_KEEP ? w->ret_acked : w->ret_durable);
	found = world_text(w);
	for (k = least; k < w->states; k++)
		if (!strcmp(w->state[k], found))
			break;
	if (w->states && k == w->states) /* too long for a message of Check's */
		fprintf(stderr, "%s: found:\n%s--- at least:\n%s--- at most:\n%s", world_doing,
			found, w->state[least], w->state[w->states - 1]);
	ck_assert_msg(!w->states || k < w->states, "%s: not a state from %zu to %zu", world_doing,
		      least, w->states - 1);
	free(found);
	check_refusals(w);
	check_nonces();
	world_forget_states(w);
	world_push(w, NULL);
}

static void on_finding(void *user, const struct cof_finding *f)
{
	struct cof_finding *worst = user;

	if (getenv("COF_SHOW"))
		fprintf(stderr, "%s: %s: %s segment %lld offset %llu sequence %lld: %s\n",
			world_doing, cof_verdict_name(f->verdict), f->file, (long long)f->segment,
			(unsigned long long)f->offset, (long long)f->sequence, f->text);
	if (f->verdict > worst->verdict || !worst->text[0])
		*worst = *f;
}

void world_verify(struct world *w, bool allow_tail)
{
	struct cof_finding worst = {0};
	struct cof_verify_params p = {.io = w->io,
				      .auditor_secret = w->auditor,
				      .auditor_archive_id = w->archive_id,
				      .threads = 1,
				      .finding = on_finding,
				      .user = &worst};
	struct cof_verified v = {0};
	struct cof_diag diag = {""};
	int r = cof_log_verify(&p, &v, &diag);
	bool fine = v.verdict == COF_INTACT ||
		    (allow_tail && (v.verdict == COF_UNSEALED || v.verdict == COF_INCOMPLETE));

	ck_assert_msg(r == 0, "%s: verify: %s: %s", world_doing, strerror(-r), diag.text);
	ck_assert_msg(fine, "%s: verify says %s: %s offset %llu, sequence %lld: %s", world_doing,
		      cof_verdict_name(v.verdict), worst.file, (unsigned long long)worst.offset,
		      (long long)worst.sequence, worst.text);
	ck_assert(v.seal_checked || v.verdict != COF_INTACT);
}
