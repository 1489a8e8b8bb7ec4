/* SPDX-License-Identifier: Apache-2.0 */
/* What readers of other programs' logs put on record, found from the end of the index of events backwards. */
#include "fs/archive/events.h"
#include "fs/archive/import.h"

#define BATCH 64
#define PLACE (8 + 8 + COF_HASH)

void cof_import_put(struct cof_buf *fields, const struct cof_import_place *place, const char *path)
{
	cof_autobuf struct cof_buf value = {0};
	uint8_t numbers[16];

	cof_put_le64(numbers, place->end);
	cof_put_le64(numbers + 8, place->line);
	cof_buf_add(&value, numbers, sizeof(numbers));
	cof_buf_add(&value, place->digest, COF_HASH);
	cof_buf_add(&value, path, strlen(path));
	cof_field_put(fields, COF_T_READ, value.data, value.len);
	fields->failed |= value.failed;
}

static bool take_text(const struct cof_field *f, size_t skip, char *out, size_t cap)
{
	if (f->len < skip || f->len - skip >= cap)
		return false;
	memcpy(out, f->value + skip, f->len - skip);
	out[f->len - skip] = '\0';
	return true;
}

static bool is_read(const struct cof_buf *fields, struct cof_read_event *e)
{
	struct cof_field f;

	if (cof_field_find(fields->data, fields->len, COF_T_READ, &f) < 0 || !take_text(&f, PLACE, e->path, sizeof(e->path)))
		return false;
	e->place.end = cof_get_le64(f.value);
	e->place.line = cof_get_le64(f.value + 8);
	memcpy(e->place.digest, f.value + 16, COF_HASH);
	if (cof_field_find(fields->data, fields->len, COF_T_SOURCE, &f) < 0 ||
	    !take_text(&f, 0, e->source, sizeof(e->source)))
		return false;
	e->report = cof_field_find(fields->data, fields->len, COF_T_READ_DUE, &f) == 0 && f.len == 16;
	e->next = e->report ? (int64_t)cof_get_le64(f.value) : 0;
	e->silence = e->report ? (int64_t)cof_get_le64(f.value + 8) : 0;
	return true;
}

static int look_at(struct cof_archive *a, const struct cof_stretch *s, struct cof_read_event *e)
{
	cof_autobuf struct cof_buf fields = {0};
	struct cof_frame f;
	int r = cof_reader_header(a->reader, s->address, &f, NULL, NULL);

	if (r == -ENODATA || r == -EUCLEAN || (r == 0 && f.sequence != s->sequence))
		return -COF_EINDEX;
	if (r < 0 || f.type != COF_EVENT)
		return r;
	r = cof_frame_read(a->reader, a->ring, a->conf.id, s->address, &f, NULL, &fields);
	if (r < 0) /* damaged, and told where events are read */
		return r == -ENOMEM ? r : 0;
	return is_read(&fields, e);
}

int cof_import_back(struct cof_archive *a, uint64_t most, int (*fn)(void *user, const struct cof_read_event *e),
		    void *user)
{
	cof_autofree struct cof_read_event *e = malloc(sizeof(*e));
	struct cof_stretch stretch[BATCH];
	uint64_t end = 0;
	size_t n;
	int r = e ? cof_ix(a, cof_index_end(a->ix, COF_INDEX_NOW, COF_EVENTS_INO, &end)) : -ENOMEM;

	while (r == 0 && end && most) {
		uint64_t from = end > BATCH ? end - BATCH : 0;

		r = cof_ix(a, cof_index_stretches(a->ix, COF_INDEX_NOW, COF_EVENTS_INO, from, stretch,
						  (size_t)(end - from), &n));
		if (r == 0 && n != end - from)
			return -COF_EINDEX;
		for (size_t i = n; r == 0 && i-- > 0 && most; most--) {
			r = look_at(a, &stretch[i], e);
			if (r == 1)
				r = fn(user, e);
		}
		end = from;
	}
	return r == 1 ? 0 : r;
}
