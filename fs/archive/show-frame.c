/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One frame as a JSON object: what its header says, where it lies, who is behind it, and its fields by name.
 * The bytes of an APPEND are neither read nor shown: a log of what happened must not become a copy of it.
 */
#include <stdio.h>

#include "fs/archive/show.h"

/* ---- actors ---- */

void cof_show_done(struct cof_show *s)
{
	for (size_t i = 0; i < COF_COUNT(s->actors); i++)
		cof_buf_done(&s->actors[i].fields);
}

static int load_actor(struct cof_show *s, uint32_t mount, uint32_t ordinal,
		      struct cof_show_actor *slot)
{
	cof_autobuf struct cof_buf fields = {0};
	struct cof_frame f;
	uint64_t address;
	int err = s->actor(s->user, mount, ordinal, &address);

	if (err)
		return err;
	if (cof_reader_header(s->reader, address, &f, NULL, NULL) || f.type != COF_ACTOR ||
	    f.mount != mount || f.position != ordinal)
		return -COF_EINDEX;
	err = cof_frame_read(s->reader, s->ring, s->conf->id, address, &f, NULL, &fields);
	if (err)
		return err;
	cof_buf_done(&slot->fields);
	slot->fields = fields;
	fields = (struct cof_buf){0};
	slot->mount = mount;
	slot->ordinal = ordinal;
	return 0;
}

int cof_show_actor_fields(struct cof_show *s, uint32_t mount, uint32_t ordinal,
			  struct cof_json *into)
{
	struct cof_show_actor *slot = &s->actors[(mount * 31 + ordinal) % COF_SHOW_ACTORS];
	int err = 0;

	if (!ordinal || !s->ring)
		return 0;
	if (slot->mount != mount || slot->ordinal != ordinal)
		err = load_actor(s, mount, ordinal, slot);
	if (err == -ENOMEM || err == -COF_EINDEX)
		return err;
	if (!err)
		cof_show_fields(into, slot->fields.data, slot->fields.len);
	return 0; /* not known, or damaged: the frame's ordinal stands alone */
}

static int set_actor(struct cof_show *s, const struct cof_frame *f, struct cof_json *o)
{
	struct cof_json *actor;
	int err;

	if (!f->actor)
		return 0;
	actor = cof_json_object();
	if (!actor)
		return -ENOMEM;
	cof_json_set_uint(actor, "ordinal", f->actor);
	err = cof_show_actor_fields(s, f->mount, f->actor, actor);
	cof_json_set(o, "actor", actor);
	return err;
}

/* ---- names ---- */

#define PATH_BYTES 65536

int cof_show_index_path(struct cof_index *ix, uint64_t at, uint64_t ino, struct cof_buf *ret)
{
	cof_autofree char *text = malloc(PATH_BYTES);
	cof_autofree struct cof_node *n = malloc(sizeof(*n));
	size_t start = PATH_BYTES;

	if (!text || !n)
		return -ENOMEM;
	while (ino != COF_ROOT_INO) { /* ends: each round takes room */
		int err = cof_index_get_node(ix, at, ino, n);

		if (err)
			return err;
		if (start < (size_t)n->name_len + 1)
			return -ENAMETOOLONG;
		if (start < PATH_BYTES)
			text[--start] = '/';
		start -= n->name_len;
		memcpy(text + start, n->name, n->name_len);
		if (!n->name_len)
			return -ENOENT;
		ino = n->parent;
	}
	ret->len = 0;
	cof_buf_add(ret, text + start, PATH_BYTES - start);
	return ret->failed ? -ENOMEM : 0;
}

static int set_path(struct cof_show *s, const struct cof_frame *f, struct cof_json *o)
{
	cof_autobuf struct cof_buf path = {0};
	/* What is removed had its name until then; else the name after the frame counts. */
	uint64_t at = f->type == COF_REMOVE ? f->sequence : f->sequence + 1;
	int err;

	if (!f->object || f->object == COF_ROOT_INO)
		return 0;
	err = s->path(s->user, at, f->object, &path);
	if (err == -ENOMEM || err == -COF_EINDEX)
		return err;
	if (!err)
		cof_json_set_bytes(o, "path", path.data, path.len);
	return 0;
}

/* ---- frames ---- */

static void set_header(const struct cof_conf *conf, uint64_t address, const struct cof_frame *f,
		       struct cof_json *o)
{
	const char *type = cof_frame_type_name(f->type);

	cof_json_set_uint(o, "sequence", f->sequence);
	cof_json_set_uint(o, "segment", address / conf->segment_size);
	cof_json_set_uint(o, "offset", address % conf->segment_size);
	cof_json_set_str(o, "type", type);
	if (!strcmp(type, "opaque"))
		cof_json_set_uint(o, "type_number", f->type);
	if (f->object)
		cof_json_set_uint(o, "object", f->object);
	cof_json_set_uint(o, "position", f->position);
	cof_json_set_uint(o, "length", f->length);
	cof_json_set_uint(o, "mount", f->mount);
	cof_json_set_time(o, "record_time", f->record_time);
	cof_json_set_time(o, "retention_time", f->retention_time);
}

static bool is_of_actor(uint8_t tag)
{
	return tag == COF_T_UID || tag == COF_T_GID || (tag >= COF_T_PID && tag <= COF_T_START_TIME);
}

/* Who mounted stands in the MOUNT frame itself: an ACTOR frame can only come behind it. */
static void set_mount(struct cof_json *o, const uint8_t *p, size_t n)
{
	cof_autobuf struct cof_buf who = {0}, rest = {0};
	struct cof_json *actor;
	struct cof_field f;
	size_t off = 0;
	int r;

	while ((r = cof_field_next(p, n, &off, &f)) == 1)
		cof_field_put(is_of_actor(f.tag) ? &who : &rest, f.tag, f.value, f.len);
	if (r < 0 || who.failed || rest.failed || !who.len) {
		cof_show_fields(o, p, n);
		return;
	}
	actor = cof_json_object();
	cof_show_fields(actor, who.data, who.len);
	cof_json_set(o, "actor", actor);
	cof_show_fields(o, rest.data, rest.len);
}

static void set_public(const struct cof_frame *f, const struct cof_buf *part, struct cof_json *o)
{
	char commitment[2 * COF_HASH + 1];
	const uint8_t *p = part->data;
	size_t n = part->len;

	if (f->flags & COF_FRAME_COMMITMENT) { /* stands before the rest */
		if (n < COF_HASH) {
			cof_json_set_bool(o, "malformed", true);
			return;
		}
		cof_hex(p, COF_HASH, commitment);
		cof_json_set_str(o, "commitment", commitment);
		p += COF_HASH;
		n -= COF_HASH;
	}
	if (f->type == COF_ARCHIVE)
		cof_json_set_bytes(o, "conf", p, n);
	else if (f->type == COF_HOLE && n == 8)
		cof_json_set_uint(o, "hole", cof_get_le64(p));
	else if (f->type == COF_HOLE)
		cof_json_set_bool(o, "malformed", true);
	else if (f->type == COF_MOUNT)
		set_mount(o, p, n);
	else
		cof_show_fields(o, p, n);
}

static bool has_shown_payload(unsigned type)
{
	switch (type) {
	case COF_ARCHIVE:
	case COF_MOUNT:
	case COF_UNMOUNT:
	case COF_RECOVERY:
	case COF_ACTOR:
	case COF_CREATE:
	case COF_HOLE:
	case COF_COMMIT:
	case COF_EXTEND:
	case COF_RENAME:
	case COF_REMOVE:
	case COF_DESTROY:
	case COF_ATTR:
	case COF_EVENT:
	case COF_CHECKPOINT:
	case COF_HEARTBEAT:
	case COF_COSIGN:
	case COF_STAMP:
	case COF_CLOCK:
	case COF_SHELF:
	case COF_POLICY:
	case COF_PEOPLE:
	case COF_REQUEST:
	case COF_APPROVAL:
	case COF_HOLD:
	case COF_ESCROW:
	case COF_CEREMONY:
	case COF_VAULT_RECORD:
	case COF_RECEIPT:
		return true;
	default:
		return false;
	}
}

static int set_payload(struct cof_show *s, uint64_t address, const struct cof_frame *f,
		       struct cof_json *o)
{
	cof_autobuf struct cof_buf public_part = {0};
	cof_autobuf struct cof_buf private_part = {0};
	int err;

	if (f->type == COF_APPEND || f->type == COF_PAD)
		return 0;
	if (!has_shown_payload(f->type)) {
		cof_json_set_bool(o, "opaque", true);
		return 0;
	}
	err = cof_frame_read(s->reader, s->ring, s->conf->id, address, f, &public_part,
			     s->ring ? &private_part : NULL);
	if (err == -ENOKEY) { /* the public part needs none */
		err = cof_frame_read(s->reader, NULL, s->conf->id, address, f, &public_part, NULL);
		private_part.len = 0;
	}
	if (err == -ENOMEM || err == -COF_EINDEX)
		return err;
	if (err) {
		cof_json_set_bool(o, "opaque", true);
		cof_json_set_bool(o, "damaged", true);
		return 0;
	}
	set_public(f, &public_part, o);
	if (f->length && !private_part.len)
		cof_json_set_bool(o, "opaque", true);
	else if (f->type == COF_EVENT)
		return cof_show_event(o, f, &public_part, &private_part);
	cof_show_fields(o, private_part.data, private_part.len);
	return 0;
}

int cof_show_frame(struct cof_show *s, uint64_t address, const struct cof_frame *f,
		   struct cof_json **ret)
{
	cof_autojson struct cof_json *o = cof_json_object();
	int err;

	if (!o)
		return -ENOMEM;
	set_header(s->conf, address, f, o);
	err = set_path(s, f, o);
	if (!err)
		err = set_actor(s, f, o);
	if (!err)
		err = set_payload(s, address, f, o);
	if (err)
		return err;
	*ret = o;
	o = NULL;
	return 0;
}

int cof_show_next(struct cof_reader *reader, const struct cof_conf *conf, uint64_t address,
		  const struct cof_frame *f, uint64_t *ret_address)
{
	struct cof_frame peek;
	uint64_t next;
	int err = cof_reader_next(reader, address, f, &next);

	if (err)
		return err;
	/* A segment ends where its last frame does, or where zeros begin. */
	if (next % conf->segment_size &&
	    cof_reader_header(reader, next, &peek, NULL, NULL) == -ENODATA)
		next = (next / conf->segment_size + 1) * conf->segment_size;
	*ret_address = next;
	return 0;
}
