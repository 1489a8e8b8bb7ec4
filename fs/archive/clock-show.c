/* SPDX-License-Identifier: Apache-2.0 */
/* The clocks as JSON: of an open archive, and what a store tells of them without its daemon. */
#include <stdio.h>

#include "fs/archive/show.h"

#define MSEC 1000000

static void set_boot(struct cof_json *into, const uint8_t boot_id[16])
{
	char hex[33];

	cof_hex(boot_id, 16, hex);
	cof_json_set_str(into, "boot_id", hex);
}

/* ---- of an open archive ---- */

static void set_tpm(struct cof_archive *a, struct cof_json *into)
{
	struct cof_json *o = cof_json_object();
	struct cof_clock *c = &a->clock;
	struct cof_pace pace;
	struct cof_diag why;
	unsigned silent;

	pthread_mutex_lock(&c->lock);
	pace = c->pace;
	silent = c->silent;
	why = c->why;
	pthread_mutex_unlock(&c->lock);
	cof_json_set_bool(o, "bounds_retention", c->by_tpm);
	if (pace.seen) {
		cof_json_set_uint(o, "clock_ms", pace.last.clock_ms);
		cof_json_set_uint(o, "time_ms", pace.last.time_ms);
		cof_json_set_uint(o, "resets", pace.last.resets);
		cof_json_set_uint(o, "restarts", pace.last.restarts);
		cof_json_set_bool(o, "safe", pace.last.safe);
	}
	if (silent)
		cof_json_set_str(o, "error", why.text[0] ? why.text : "no answer");
	cof_json_set(into, "tpm", o);
}

static void set_proofs(struct cof_archive *a, struct cof_json *into)
{
	struct cof_proof newest, claimed;

	pthread_mutex_lock(&a->proofs.lock);
	newest = a->proofs.newest;
	claimed = a->proofs.claimed;
	pthread_mutex_unlock(&a->proofs.lock);
	if (newest.sequence) {
		cof_json_set_time(into, "not_before", cof_proof_from(&newest));
		cof_proof_json(&newest, into, "proof");
	}
	if (claimed.sequence)
		cof_proof_json(&claimed, into, "claimed");
	cof_json_set_uint(into, "queries", cof_stamps_pending(a->io));
}

int cof_archive_clock(struct cof_archive *a, struct cof_json *into)
{
	int64_t wall = cof_now(CLOCK_REALTIME), retention = cof_clock_retention(&a->clock);
	int64_t limit = cof_policy_deviation(a);

	cof_json_set_bool(into, "mounted", true);
	cof_json_set_time(into, "wall_clock", wall);
	cof_json_set_int(into, "boot_time_ms", cof_now(CLOCK_BOOTTIME) / MSEC);
	set_boot(into, a->clock.boot_id);
	cof_json_set_time(into, "retention_time", retention);
	cof_json_set_int(into, "lag_ms", wall / MSEC - retention / MSEC);
	cof_json_set_int(into, "deviation_ms", cof_clock_deviation(&a->clock) / MSEC);
	cof_json_set_int(into, "deviation_limit_ms", limit / MSEC);
	cof_json_set_str(into, "deviation_by", cof_clock_by_proof(&a->clock) ? "proof" : "boot-time clock");
	set_proofs(a, into);
	set_tpm(a, into);
	return 0;
}

/* ---- of a store ---- */

struct looking {
	struct cof_io *io;
	struct cof_conf conf;
	struct cof_reader *reader;
	bool any;
	struct cof_frame last;
	struct cof_proof newest, claimed;
};

static int last_segment(void *user, const char *name)
{
	uint64_t *last = user;
	unsigned number;
	int end = 0;

	if (sscanf(name, "%8x.seg%n", &number, &end) == 1 && end == 12 && !name[12])
		*last = COF_MAX(*last, (uint64_t)number);
	return 0;
}

static int take_stamp(struct looking *l, uint64_t address, const struct cof_frame *f)
{
	cof_autobuf struct cof_buf fields = {0};
	struct cof_proof p;
	int r = cof_frame_read(l->reader, NULL, l->conf.id, address, f, &fields, NULL);

	if (r == 0)
		r = cof_proof_read(f, address, fields.data, fields.len, &p);
	if (r == 0)
		*(p.trusted ? &l->newest : &l->claimed) = p;
	return r == -ENOMEM ? r : 0; /* what is damaged is for verify to name */
}

/* The frames of one segment in order: the last one is the newest of all if none was seen before. */
static int look_through(struct looking *l, uint64_t number)
{
	uint64_t address = number * l->conf.segment_size;
	bool first = !l->any;
	struct cof_frame f;
	int r;

	while ((r = cof_reader_header(l->reader, address, &f, NULL, NULL)) == 0) {
		if (first) {
			l->last = f;
			l->any = true;
		}
		if (f.type == COF_STAMP || f.type == COF_COSIGN)
			r = take_stamp(l, address, &f);
		address += COF_FRAME_HEADER + f.stored;
		if (r < 0 || address / l->conf.segment_size != number)
			break;
	}
	return r == -ENODATA || r == -EUCLEAN || r > 0 ? 0 : r;
}

/* From the end on until a proof is found. */
static int look(struct looking *l)
{
	uint64_t number = 0;
	int r = cof_io_list(l->io, "log", last_segment, &number);

	if (r == 0)
		r = cof_reader_new(l->io, &l->conf, &l->reader);
	for (number++; r == 0 && number-- && !l->newest.sequence;)
		r = look_through(l, number);
	cof_reader_free(l->reader);
	return r;
}

int cof_store_clock(struct cof_io *io, struct cof_json *into, struct cof_diag *diag)
{
	struct looking l = {.io = io};
	int64_t wall = cof_now(CLOCK_REALTIME);
	uint8_t boot_id[16];
	int r = cof_conf_load(io, &l.conf, diag);

	if (r < 0)
		return r;
	r = look(&l);
	if (r < 0)
		return cof_fail(diag, r, "%s/log cannot be read: %s", cof_io_where(io), strerror(-r));
	cof_json_set_bool(into, "mounted", false);
	cof_json_set_time(into, "wall_clock", wall);
	if (cof_boot_id(boot_id) == 0)
		set_boot(into, boot_id);
	if (l.any) {
		cof_json_set_time(into, "retention_time", l.last.retention_time);
		cof_json_set_time(into, "last_record_time", l.last.record_time);
		cof_json_set_int(into, "lag_ms", wall / MSEC - l.last.retention_time / MSEC);
	}
	if (l.newest.sequence) {
		cof_json_set_time(into, "not_before", cof_proof_from(&l.newest));
		cof_proof_json(&l.newest, into, "proof");
	}
	if (l.claimed.sequence)
		cof_proof_json(&l.claimed, into, "claimed");
	cof_json_set_uint(into, "queries", cof_stamps_pending(io));
	return 0;
}
