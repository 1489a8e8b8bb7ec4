/* SPDX-License-Identifier: Apache-2.0 */
/* The fields of frames by name, as values of JSON. */
#include <stdio.h>

#include "fs/archive/certs.h"
#include "fs/archive/ceremony.h"
#include "fs/archive/escrow.h"
#include "fs/rules/ceremony.h"
#include "fs/archive/show.h"
#include "fs/archive/vaults.h"
#include "fs/rules/approve.h"

enum form { /* how a field's bytes become a value */
	FORM_BYTES,
	FORM_U32,
	FORM_U64,
	FORM_TIME,
	FORM_UNTIL, /* a time, "infinite" or "none" */
	FORM_HEX,
	FORM_SEQUENCE, /* u64, and what proves it */
	FORM_KIND,
	FORM_MODE,
	FORM_ERRNO,
	FORM_LOGIN, /* a login uid; nothing when there was none */
	FORM_DIGEST, /* one of several: SHA-256, text */
	FORM_TEXT,   /* one of several */
	FORM_RANGES, /* inodes: first u64, count u64, any number */
	FORM_NUMBERS, /* u64, any number */
	FORM_MODE_KEPT,
	FORM_WHAT,
	FORM_CERT, /* one of several */
	FORM_VERDICT,
	FORM_SIGNER, /* principal NUL signature; of the first */
	FORM_READ, /* end, line, digest, path */
	FORM_COUNTS, /* u64 each */
	FORM_DUE,
	FORM_NAMES, /* one of several: object, time, and a name that begins as the one before */
};

struct known {
	const char *name;
	enum form form;
};

static const struct known known[256] = {
	[COF_T_PARENT] = {"parent", FORM_U64},
	[COF_T_NAME] = {"name", FORM_BYTES},
	[COF_T_KIND] = {"kind", FORM_KIND},
	[COF_T_MODE] = {"mode", FORM_MODE},
	[COF_T_UID] = {"uid", FORM_U32},
	[COF_T_GID] = {"gid", FORM_U32},
	[COF_T_TARGET] = {"target", FORM_BYTES},
	[COF_T_MTIME] = {"mtime", FORM_TIME},
	[COF_T_NEW_PARENT] = {"new_parent", FORM_U64},
	[COF_T_NEW_NAME] = {"new_name", FORM_BYTES},
	[COF_T_XATTR_NAME] = {"xattr_name", FORM_BYTES},
	[COF_T_XATTR_VALUE] = {"xattr_value", FORM_BYTES},
	[COF_T_PID] = {"pid", FORM_U32},
	[COF_T_LOGIN_UID] = {"login_uid", FORM_LOGIN},
	[COF_T_COMMAND] = {"command", FORM_BYTES},
	[COF_T_UNIT] = {"unit", FORM_BYTES},
	[COF_T_START_TIME] = {"start_time", FORM_U64},
	[COF_T_RETAIN_UNTIL] = {"retain_until", FORM_UNTIL},
	[COF_T_ASKED_UNTIL] = {"asked_until", FORM_UNTIL},
	[COF_T_RULE] = {"rule", FORM_BYTES},
	[COF_T_POLICY] = {"policy", FORM_BYTES},
	[COF_T_PROFILE_DIGEST] = {"sha256", FORM_HEX},
	[COF_T_EVENT] = {"event", FORM_BYTES},
	[COF_T_OPERATION] = {"operation", FORM_BYTES},
	[COF_T_ERRNO] = {"errno", FORM_ERRNO},
	[COF_T_PATH] = {"path", FORM_BYTES},
	[COF_T_REASON] = {"reason", FORM_BYTES},
	[COF_T_COUNT] = {"count", FORM_U64},
	[COF_T_FIRST] = {"first_time", FORM_TIME},
	[COF_T_LAST] = {"last_time", FORM_TIME},
	[COF_T_DETAIL] = {"detail", FORM_BYTES},
	[COF_T_LEAK_KIND] = {"leak_kind", FORM_BYTES},
	[COF_T_LEAK_OFFSET] = {"leak_offset", FORM_U64},
	[COF_T_LEAK_LENGTH] = {"leak_length", FORM_U64},
	[COF_T_LEAK_BEFORE] = {"leak_before", FORM_U64},
	[COF_T_NAMES] = {"names", FORM_NAMES},
	[COF_T_SALT] = {"salt", FORM_HEX},
	[COF_T_COMMITMENT] = {"commitment", FORM_HEX},
	[COF_T_BOOT_ID] = {"boot_id", FORM_HEX},
	[COF_T_BOOT_TIME] = {"boot_time", FORM_U64},
	[COF_T_EPOCH] = {"epoch", FORM_U64},
	[COF_T_LINEAGE] = {"lineage", FORM_U32},
	[COF_T_SOFTWARE] = {"software", FORM_BYTES},
	/* The frame itself has a segment and an offset: these are of what was cut off. */
	[COF_T_SEGMENT] = {"torn_segment", FORM_U32},
	[COF_T_OFFSET] = {"torn_offset", FORM_U64},
	[COF_T_BYTES] = {"torn_bytes", FORM_U64},
	[COF_T_DIGEST] = {"torn_digest", FORM_HEX},
	[COF_T_NOTE] = {"note", FORM_BYTES},
	[COF_T_ANCHOR] = {"anchor", FORM_U64},
	[COF_T_WALL_BEFORE] = {"wall_before", FORM_TIME},
	[COF_T_WALL_AFTER] = {"wall_after", FORM_TIME},
	[COF_T_COUNTER] = {"anchor_counter", FORM_HEX},
	[COF_T_TPM_RESETS] = {"tpm_resets", FORM_U64},
	[COF_T_MIXING] = {"mixed_behind", FORM_SEQUENCE},
	[COF_T_UNPROVEN] = {"unproven", FORM_U64},
	[COF_T_PROOF_TIME] = {"proof_time", FORM_TIME},
	[COF_T_ACCURACY] = {"accuracy_ns", FORM_U64},
	[COF_T_SERIAL] = {"serial", FORM_HEX},
	[COF_T_AUTHORITY] = {"authority", FORM_BYTES},
	[COF_T_TRUSTED] = {"trusted", FORM_HEX},
	[COF_T_VAULT] = {"vault", FORM_BYTES},
	[COF_T_VAULT_PLACE] = {"vault_place", FORM_BYTES},
	[COF_T_JURISDICTION] = {"jurisdiction", FORM_BYTES},
	[COF_T_ADMINISTRATION] = {"administration", FORM_BYTES},
	[COF_T_ELSEWHERE] = {"elsewhere", FORM_U32},
	[COF_T_DISTANCE] = {"distance_km", FORM_U32},
	[COF_T_COSIGNED] = {"cosigned", FORM_NUMBERS},
	[COF_T_TPM_CLOCK] = {"tpm_clock", FORM_HEX},
	[COF_T_MEASURED] = {"measured", FORM_DIGEST},
	[COF_T_MODULE] = {"modules", FORM_TEXT},
	[COF_T_GUARD] = {"guard", FORM_DIGEST},
	[COF_T_OPTIONS] = {"options", FORM_BYTES},
	[COF_T_POLICIES] = {"policies", FORM_HEX},
	[COF_T_REQUEST] = {"request", FORM_HEX},
	[COF_T_RELEASE_AT] = {"release_at", FORM_TIME},
	[COF_T_DESTROYED_FRAMES] = {"destroyed_frames", FORM_U64},
	[COF_T_DESTROYED_BYTES] = {"destroyed_bytes", FORM_U64},
	[COF_T_PEOPLE] = {"people", FORM_BYTES},
	[COF_T_DOCUMENT] = {"document", FORM_BYTES},
	[COF_T_VERDICT] = {"verdict", FORM_VERDICT},
	[COF_T_SIGNATURE] = {"principal", FORM_SIGNER},
	[COF_T_OUTCOME] = {"request_outcome", FORM_BYTES},
	[COF_T_CATALOGUE] = {"catalogue", FORM_BYTES},
	[COF_T_EVENT_OUTCOME] = {"outcome", FORM_BYTES},
	[COF_T_SEVERITY] = {"severity", FORM_BYTES},
	[COF_T_SOURCE] = {"source", FORM_BYTES},
	[COF_T_SIGNER] = {"signer", FORM_BYTES},
	[COF_T_PLACE] = {"place", FORM_BYTES},
	[COF_T_CLAIMED_TIME] = {"claimed_time", FORM_TIME},
	[COF_T_EVENT_SIGNATURE] = {"signature", FORM_BYTES},
	[COF_T_FORM] = {"form", FORM_BYTES},
	[COF_T_REVIEWED] = {"reviewed_to", FORM_U64},
	[COF_T_READ] = {"read", FORM_READ},
	[COF_T_READ_COUNTS] = {"counts", FORM_COUNTS},
	[COF_T_ABOUT] = {"about", FORM_BYTES},
	[COF_T_READ_DUE] = {"due", FORM_DUE},
	[COF_T_HEARTBEAT] = {"heartbeat_ns", FORM_U64},
	[COF_T_CHANGE] = {"change", FORM_HEX},
	[COF_T_CERTIFICATE] = {"certificates", FORM_CERT},
	[COF_T_CERT_NOT_AFTER] = {"latest_not_after", FORM_TIME},
	[COF_T_CERT_LONGEST] = {"longest_validity_ns", FORM_U64},
	[COF_T_FOLLOWS] = {"follows_margin_ns", FORM_U64},
	[COF_T_HOLD_WHAT] = {"what", FORM_WHAT},
	[COF_T_HOLD_ID] = {"hold", FORM_U64},
	[COF_T_INODES] = {"inodes", FORM_RANGES},
	[COF_T_CASE] = {"case", FORM_BYTES},
	[COF_T_HOLDS] = {"holds", FORM_NUMBERS},
	[COF_T_EVENT_NAME] = {"event_name", FORM_BYTES},
	[COF_T_EVENT_TIME] = {"event_time", FORM_TIME},
	[COF_T_LEAST_UNTIL] = {"least_until", FORM_UNTIL},
	[COF_T_RETAIN_MODE] = {"retain_mode", FORM_MODE_KEPT},
	[COF_T_BINDS_FROM] = {"binds_from", FORM_TIME},
	[COF_T_EVENT_SPAN] = {"event_span_ns", FORM_U64},
	[COF_T_PROCESSED] = {"processed", FORM_U64},
	[COF_T_SKIPPED] = {"skipped", FORM_U64},
	[COF_T_FAILED] = {"failed", FORM_U64},
	[COF_T_WAS_UNTIL] = {"was_until", FORM_UNTIL},
};

/* ---- fields ---- */

static void set_u32(struct cof_json *o, const char *name, enum form form, uint32_t v)
{
	char octal[16];
	const char *word;

	switch (form) {
	case FORM_MODE:
		snprintf(octal, sizeof(octal), "%04o", v);
		cof_json_set_str(o, name, octal);
		break;
	case FORM_ERRNO:
		word = v <= 4095 ? strerrorname_np((int)v) : NULL;
		if (word)
			cof_json_set_str(o, name, word);
		else
			cof_json_set_uint(o, name, v);
		break;
	case FORM_LOGIN:
		if (v != UINT32_MAX)
			cof_json_set_uint(o, name, v);
		break;
	default:
		cof_json_set_uint(o, name, v);
		break;
	}
}

static void set_u64(struct cof_json *o, const char *name, enum form form, uint64_t v)
{
	int64_t time = (int64_t)v;

	if (form == FORM_U64)
		cof_json_set_uint(o, name, v);
	else if (form == FORM_UNTIL && time == INT64_MAX)
		cof_json_set_str(o, name, "infinite");
	else if (form == FORM_UNTIL && time == INT64_MIN)
		cof_json_set_str(o, name, "none");
	else
		cof_json_set_time(o, name, time);
}

static void set_hex(struct cof_json *o, const char *name, const struct cof_field *f)
{
	char hex[2 * 64 + 1];

	cof_hex(f->value, COF_MIN(f->len, 64), hex);
	cof_json_set_str(o, name, hex);
}

static const char *kind_name(uint8_t kind)
{
	switch (kind) {
	case COF_KIND_FILE:
		return "file";
	case COF_KIND_DIR:
		return "directory";
	case COF_KIND_SYMLINK:
		return "symlink";
	default:
		return "unknown";
	}
}

/* name: the one before in this frame, and then this one. */
static bool add_name(struct cof_json *o, const struct cof_field *f, struct cof_buf *name)
{
	struct cof_json *list = cof_json_get(o, "names"), *entry;
	size_t shared = f->len < 18 ? SIZE_MAX : cof_get_le16(f->value + 16);

	if (shared > name->len)
		return false;
	if (!list) {
		list = cof_json_array();
		cof_json_set(o, "names", list);
	}
	entry = cof_json_object();
	name->len = shared;
	cof_buf_add(name, f->value + 18, f->len - 18);
	cof_json_set_uint(entry, "object", cof_get_le64(f->value));
	cof_json_set_time(entry, "time", (int64_t)cof_get_le64(f->value + 8));
	cof_json_set_bytes(entry, "path", name->data, name->len);
	cof_json_append(list, entry);
	return !name->failed;
}

/* One more in the list of that name. */
static bool add_digest(struct cof_json *o, const struct cof_field *f, enum form form)
{
	const char *key = known[f->tag].name;
	struct cof_json *list = cof_json_get(o, key), *entry;
	size_t hash = form == FORM_DIGEST ? COF_HASH : 0;

	if (f->len < hash)
		return false;
	if (!list) {
		list = cof_json_array();
		cof_json_set(o, key, list);
	}
	entry = cof_json_object();
	cof_json_set_bytes(entry, "text", f->value + hash, f->len - hash);
	if (hash)
		set_hex(entry, "sha256", &(struct cof_field){f->tag, COF_HASH, f->value});
	cof_json_append(list, entry);
	return true;
}

static bool add_cert(struct cof_json *o, const struct cof_field *f)
{
	struct cof_json *list = cof_json_get(o, known[f->tag].name), *entry = cof_json_object();
	struct cof_cert c;

	if (cof_cert_get(f->value, f->len, &c) < 0) {
		cof_json_free(entry);
		return false;
	}
	if (!list) {
		list = cof_json_array();
		cof_json_set(o, known[f->tag].name, list);
	}
	cof_cert_json(&c, entry);
	cof_json_append(list, entry);
	return true;
}

static const char *hold_what(uint8_t what)
{
	static const char *const words[] = {"", "begin", "add", "end", "laid"};

	return what < COF_COUNT(words) ? words[what] : "unknown";
}

static const char *verdict_name(uint8_t verdict)
{
	static const char *const words[] = {"", "approve", "refuse", "done", "failed"};

	return verdict < COF_COUNT(words) ? words[verdict] : "unknown";
}

/* Ranges are [first, count] each. */
static bool set_numbers(struct cof_json *o, const struct cof_field *f, bool ranges)
{
	struct cof_json *list = cof_json_array(), *at = list;

	for (size_t i = 0; i + 8 <= f->len; i += 8) {
		if (ranges && i % 16 == 0) {
			at = cof_json_array();
			cof_json_append(list, at);
		}
		cof_json_append(at, cof_json_new_uint(cof_get_le64(f->value + i)));
	}
	cof_json_set(o, known[f->tag].name, list);
	return f->len && f->len % (ranges ? 16 : 8) == 0;
}

/* Up to which line a file was read. */
static bool set_read(struct cof_json *o, const struct cof_field *f)
{
	struct cof_json *entry = cof_json_object();
	struct cof_field digest = {f->tag, COF_HASH, f->value + 16};

	if (f->len >= 16 + COF_HASH) {
		cof_json_set_bytes(entry, "file", f->value + 16 + COF_HASH, f->len - 16 - COF_HASH);
		cof_json_set_uint(entry, "end", cof_get_le64(f->value));
		cof_json_set_uint(entry, "line", cof_get_le64(f->value + 8));
		set_hex(entry, "digest", &digest);
	}
	cof_json_set(o, known[f->tag].name, entry);
	return f->len >= 16 + COF_HASH;
}

/* Numbers by name. */
static bool set_named(struct cof_json *o, const struct cof_field *f)
{
	static const char *const counts[] = {"lines", "events", "ignored", "unmatched", "costly", "cut"};
	static const char *const due[] = {"next_ns", "silence_ns"};
	const char *const *names = f->tag == COF_T_READ_DUE ? due : counts;
	size_t n = f->tag == COF_T_READ_DUE ? COF_COUNT(due) : COF_COUNT(counts);
	struct cof_json *entry = cof_json_object();

	for (size_t i = 0; i < n && f->len == 8 * n; i++)
		cof_json_set_uint(entry, names[i], cof_get_le64(f->value + 8 * i));
	cof_json_set(o, known[f->tag].name, entry);
	return f->len == 8 * n;
}

/* False when the length is not the field's. */
static bool set_field(struct cof_json *o, const struct cof_field *f)
{
	const struct known *k = &known[f->tag];

	if (cof_escrow_tag(f->tag))
		return cof_escrow_show(o, f);
	if (f->tag >= COF_T_CEREMONY && f->tag <= COF_T_CEREMONY_FLAGS)
		return cof_ceremony_show(o, f);
	if (f->tag >= COF_T_RECORD && f->tag <= COF_T_RECORD_TIMES)
		return cof_vault_field_show(o, f);
	if (f->tag == COF_T_RECEIPT)
		return cof_vault_receipt_show(o, f);
	if (!k->name)
		return true; /* of a later version: skipped */
	switch (k->form) {
	case FORM_BYTES:
		cof_json_set_bytes(o, k->name, f->value, f->len);
		return true;
	case FORM_HEX:
		set_hex(o, k->name, f);
		return true;
	case FORM_SEQUENCE:
		if (f->len < 8)
			return false;
		cof_json_set_uint(o, k->name, cof_get_le64(f->value));
		return true;
	case FORM_DIGEST:
	case FORM_TEXT:
		return add_digest(o, f, k->form);
	case FORM_CERT:
		return add_cert(o, f);
	case FORM_RANGES:
	case FORM_NUMBERS:
		return set_numbers(o, f, k->form == FORM_RANGES);
	case FORM_READ:
		return set_read(o, f);
	case FORM_COUNTS:
	case FORM_DUE:
		return set_named(o, f);
	case FORM_WHAT:
	case FORM_MODE_KEPT:
		if (f->len != 1)
			return false;
		cof_json_set_str(o, k->name, k->form == FORM_WHAT ? hold_what(f->value[0])
					 : f->value[0] ? "governance" : "compliance");
		return true;
	case FORM_SIGNER:
		if (!cof_json_get(o, k->name))
			cof_json_set_bytes(o, k->name, f->value, strnlen((const char *)f->value, f->len));
		return true;
	case FORM_VERDICT:
		if (f->len != 1)
			return false;
		cof_json_set_str(o, k->name, verdict_name(f->value[0]));
		return true;
	case FORM_KIND:
		if (f->len != 1)
			return false;
		cof_json_set_str(o, k->name, kind_name(f->value[0]));
		return true;
	case FORM_U64:
	case FORM_TIME:
	case FORM_UNTIL:
		if (f->len != 8)
			return false;
		set_u64(o, k->name, k->form, cof_get_le64(f->value));
		return true;
	default:
		if (f->len != 4)
			return false;
		set_u32(o, k->name, k->form, cof_get_le32(f->value));
		return true;
	}
}

void cof_show_fields(struct cof_json *o, const uint8_t *p, size_t n)
{
	cof_autobuf struct cof_buf name = {0};
	struct cof_field f;
	size_t off = 0;
	int more;

	while ((more = cof_field_next(p, n, &off, &f)) > 0) {
		if (known[f.tag].form == FORM_NAMES ? !add_name(o, &f, &name) : !set_field(o, &f))
			cof_json_set_bool(o, "malformed", true);
	}
	if (more < 0)
		cof_json_set_bool(o, "malformed", true);
}
