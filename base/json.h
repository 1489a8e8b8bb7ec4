/* SPDX-License-Identifier: Apache-2.0 */
/* JSON, behind one thin wrapper; json-c is included by base/json.c only. */
#ifndef COF_JSON_H
#define COF_JSON_H

#include "base/base.h"

struct cof_json; /* a value: object, array, string, integer, boolean, null */

/* New objects belong to the caller until added to another. NULL when out of memory; every
 * function below accepts NULL and does nothing, so one check of the finished text suffices. */
struct cof_json *cof_json_object(void);
struct cof_json *cof_json_array(void);
struct cof_json *cof_json_string(const char *s); /* as set_str */
void cof_json_free(struct cof_json *j);
#define cof_autojson COF_CLEANUP(cof_json_freep)
void cof_json_freep(struct cof_json **j);

void cof_json_set(struct cof_json *o, const char *key, struct cof_json *value); /* takes value */
void cof_json_set_str(struct cof_json *o, const char *key, const char *s); /* invalid UTF-8: \ufffd */
void cof_json_set_bytes(struct cof_json *o, const char *key, const void *p, size_t n); /* as set_str */
void cof_json_set_int(struct cof_json *o, const char *key, int64_t v);
void cof_json_set_uint(struct cof_json *o, const char *key, uint64_t v);
void cof_json_set_bool(struct cof_json *o, const char *key, bool v);
void cof_json_set_time(struct cof_json *o, const char *key, int64_t ns); /* RFC 3339; extremes: null */
struct cof_json *cof_json_ref(struct cof_json *j); /* the same value, for a second owner */
void cof_json_append(struct cof_json *a, struct cof_json *value); /* takes value */

/* The text, compact or indented; owned by j, valid until j changes. NULL when out of memory. */
const char *cof_json_text(struct cof_json *j, bool pretty);

/* -EUCLEAN for anything but one JSON value (depth at most 16). */
int cof_json_parse(const char *text, size_t n, struct cof_json **ret);
struct cof_json *cof_json_get(const struct cof_json *o, const char *key); /* borrowed, or NULL */
const char *cof_json_str(const struct cof_json *o, const char *key); /* NULL if absent or no string */
int cof_json_int(const struct cof_json *o, const char *key, int64_t *ret); /* -ENOENT */
bool cof_json_bool(const struct cof_json *o, const char *key); /* false if absent */
bool cof_json_is_bool(const struct cof_json *v); /* false for NULL */
bool cof_json_is_array(const struct cof_json *v); /* likewise */
bool cof_json_has_null(const struct cof_json *o); /* a member that is null: there for some readers, and for others not */
size_t cof_json_count(const struct cof_json *a);
/* Calls fn for each member of an object, in order. text: of a string its content, of a number or boolean what
 * JSON writes, else NULL; valid while o does not change. */
void cof_json_each(const struct cof_json *o, void (*fn)(void *user, const char *key, const char *text), void *user);
struct cof_json *cof_json_at(const struct cof_json *a, size_t i); /* borrowed */

/* Values of arrays. value_…: -ENOENT when it is of another kind, or out of range. */
struct cof_json *cof_json_new_uint(uint64_t v);
struct cof_json *cof_json_new_str(const char *s);
int cof_json_value_uint(const struct cof_json *v, uint64_t *ret);
const char *cof_json_value_str(const struct cof_json *v); /* NULL */

/* The one text of a value that signatures are made over: keys in byte order, no blanks, of characters only
 * quote, backslash and those below 0x20 escaped, whole numbers; a newline behind. -EUCLEAN: it has a number
 * with a fraction, or one beyond 63 bits. */
int cof_json_canonical(const struct cof_json *j, struct cof_buf *ret);

#endif
