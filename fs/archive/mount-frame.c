/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frames that a mount begins with: MOUNT, durable before the epoch moves on, and RECOVERY, durable
 * before anything is acknowledged.
 */
#include "fs/archive/internal.h"

int cof_mount_fields(struct cof_buf *ret, const struct cof_keys *keys, const uint8_t archive_id[16],
		     uint32_t mount, const uint8_t salt[32], const struct cof_clock *clock)
{
	cof_autosecret uint8_t *key = cof_secret_alloc(COF_KEY);
	uint8_t commitment[COF_HASH];
	int r = key ? cof_keys_payload(keys, 0, mount, salt, key) : -ENOMEM;

	if (r < 0)
		return r;
	cof_key_commitment(key, archive_id, 0, mount, commitment);
	cof_field_put(ret, COF_T_SALT, salt, 32);
	cof_field_put(ret, COF_T_COMMITMENT, commitment, sizeof(commitment));
	cof_field_put(ret, COF_T_BOOT_ID, clock->boot_id, sizeof(clock->boot_id));
	cof_field_put_i64(ret, COF_T_BOOT_TIME, cof_clock_boottime(clock));
	cof_field_put_u64(ret, COF_T_EPOCH, cof_keys_epoch(keys));
	cof_field_put_u32(ret, COF_T_LINEAGE, cof_keys_lineage(keys));
	cof_field_put_str(ret, COF_T_SOFTWARE, "coffer " COF_VERSION);
	cof_keys_mix_field(keys, salt, ret);
	if (clock->pace.seen) {
		uint8_t reading[COF_TPM_CLOCK_SIZE];

		cof_tpm_clock_encode(&clock->pace.last, reading);
		cof_field_put(ret, COF_T_TPM_CLOCK, reading, sizeof(reading));
	}
	return ret->failed ? -ENOMEM : 0;
}

int cof_mount_put(struct cof_archive *a, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf fields = {0};
	uint32_t expected = a->opened.recovered.last_mount + 1, mount = 0;
	cof_autosecret uint8_t *key = cof_secret_alloc(COF_KEY);
	struct cof_mixing mixing = {.key = key};
	int r;

	if (!key)
		return cof_fail(diag, -ENOMEM, "no secure memory left for the seal's key");

	cof_random(a->salt, sizeof(a->salt));
	r = cof_mount_fields(&fields, a->keys, a->conf.id, expected, a->salt, &a->clock);
	cof_buf_add(&fields, a->p.self, a->p.self_len);
	if (cof_heartbeat_period(a))
		cof_field_put_u64(&fields, COF_T_HEARTBEAT, (uint64_t)cof_heartbeat_period(a));
	cof_anchor_mount_fields(a->anchor, &fields);
	cof_actor_fields(a->p.mounter, &fields);
	if (r == 0 && fields.failed)
		r = -ENOMEM;
	if (r == 0)
		r = cof_log_mount(a->log, a->salt, fields.data, (uint32_t)fields.len, &mount, &mixing);
	if (r == 0 && mount != expected)
		r = -EUCLEAN;
	if (r < 0)
		return cof_fail(diag, r,
				"%s cannot be mounted, its MOUNT frame was not written: %s",
				cof_io_where(a->io), strerror(-r));
	r = cof_keys_advance(a->keys, a->io, a->tpm, &mixing, diag);
	if ((r == -ENOSPC || r == -EDQUOT) && cof_io_unlink(a->io, "reserve") == 0)
		/* a full disk has to be readable at least */
		r = cof_keys_advance(a->keys, a->io, a->tpm, &mixing, diag);
	if (r < 0)
		return r;
	/* Only now: a MOUNT whose epoch did not move on is repeated by the next one, and no frame
	 * may lie between the two, not even an UNMOUNT. */
	a->mount = mount;
	cof_mix_begun(a->mix, mixing.sequence);
	atomic_store(&a->size, a->opened.recovered.size + 1);
	return 0;
}

static const char *recovery_reason(const struct cof_recovered *rec)
{
	if (rec->checkpoint == COF_CHECKPOINT_MISSING)
		return "the file checkpoint was missing, the newest one in the chain counts";
	if (rec->checkpoint == COF_CHECKPOINT_OLD)
		return "the file checkpoint was an old copy, the newest one in the chain counts";
	return rec->torn_segments ? "unclean end, a torn tail was set aside" : "unclean end";
}

int cof_recovery_put(struct cof_archive *a, struct cof_diag *diag)
{
	const struct cof_recovered *rec = &a->opened.recovered;
	cof_autobuf struct cof_buf fields = {0};
	struct cof_draft d = {.type = COF_RECOVERY, .system = true};
	int r;

	if (rec->clean && !cof_anchor_unproven(a->anchor))
		return 0;
	if (rec->torn_segments) {
		cof_field_put_u32(&fields, COF_T_SEGMENT, rec->segment);
		cof_field_put_u64(&fields, COF_T_OFFSET, rec->offset);
	}
	cof_field_put_u64(&fields, COF_T_BYTES, rec->bytes);
	if (rec->torn_segments)
		cof_field_put(&fields, COF_T_DIGEST, rec->digest, sizeof(rec->digest));
	cof_field_put_u64(&fields, COF_T_COUNT, rec->kept);
	cof_field_put_str(&fields, COF_T_REASON,
			  rec->clean ? "the TPM's counter went on without this log" : recovery_reason(rec));
	cof_anchor_recovery_fields(a->anchor, &fields);
	d.public_part = fields.data;
	d.public_len = (uint32_t)fields.len;
	r = fields.failed ? -ENOMEM : cof_archive_put(a, &d, NULL, NULL);
	/* Durable before anything is acknowledged: it must not be lost by the next power cut. */
	if (r == 0)
		r = cof_log_sync(a->log, atomic_load(&a->size) - 1);
	return r < 0 ? cof_fail(diag, r, "%s: the recovery cannot be recorded: %s",
				cof_io_where(a->io), strerror(-r))
		     : 0;
}

/* The last MOUNT frame and its public part. -ENOENT: there is none that can be read. */
int cof_last_mount(struct cof_archive *a, struct cof_frame *ret, struct cof_buf *ret_fields)
{
	uint64_t address = a->opened.recovered.last_mount_address;
	int r = address ? cof_reader_header(a->reader, address, ret, NULL, NULL) : -ENOENT;

	if (r == 0 && ret->type != COF_MOUNT)
		r = -ENOENT;
	return r < 0 ? r
		     : cof_frame_read(a->reader, NULL, a->conf.id, address, ret, ret_fields, NULL);
}
