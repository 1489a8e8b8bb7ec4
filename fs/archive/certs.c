/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificates at the commit. Whatever door a file comes through, its COMMIT frame is written in one place,
 * and there it is read first: one file at a time, since what GnuTLS makes of a large CRL takes thirty times
 * its bytes. A file that cannot be read is kept like any other, and an EVENT says so.
 */
#include "fs/archive/certs.h"
#include "fs/archive/note.h"
#include "fs/archive/show.h"

/* ---- field 160 ---- */

#define FIXED 51 /* kind 1, flags 1, not before 8, not after 8, fingerprint 32, length of the serial 1 */

void cof_cert_put(struct cof_buf *ret, const struct cof_cert *c)
{
	uint8_t b[FIXED + COF_CERT_SERIAL_MAX + 2];
	size_t subject = strlen(c->subject), at = FIXED + c->serial_len;

	b[0] = (uint8_t)c->kind;
	b[1] = c->flags;
	cof_put_le64(b + 2, (uint64_t)c->not_before);
	cof_put_le64(b + 10, (uint64_t)c->not_after);
	memcpy(b + 18, c->fingerprint, COF_HASH);
	b[50] = (uint8_t)c->serial_len;
	memcpy(b + FIXED, c->serial, c->serial_len);
	cof_put_le16(b + at, (uint16_t)subject);
	cof_buf_add(ret, b, at + 2);
	cof_buf_add(ret, c->subject, subject);
	cof_buf_add(ret, c->issuer, strlen(c->issuer));
}

static int take_name(const uint8_t *p, size_t n, char out[COF_CERT_NAME_MAX + 1])
{
	if (n > COF_CERT_NAME_MAX || memchr(p, 0, n))
		return -EUCLEAN;
	memcpy(out, p, n);
	out[n] = '\0';
	return 0;
}

int cof_cert_get(const void *p, size_t n, struct cof_cert *ret)
{
	const uint8_t *b = p;
	size_t at, subject;

	if (n < FIXED + 2 || b[0] < COF_CERT_CERTIFICATE || b[0] > COF_CERT_REQUEST ||
	    (b[1] & ~COF_CERT_FLAGS) || b[50] > COF_CERT_SERIAL_MAX || n < FIXED + 2u + b[50])
		return -EUCLEAN;
	at = FIXED + b[50];
	subject = cof_get_le16(b + at);
	at += 2;
	if (subject > n - at)
		return -EUCLEAN;
	ret->kind = (enum cof_cert_kind)b[0];
	ret->flags = b[1];
	ret->not_before = (int64_t)cof_get_le64(b + 2);
	ret->not_after = (int64_t)cof_get_le64(b + 10);
	memcpy(ret->fingerprint, b + 18, COF_HASH);
	ret->serial_len = b[50];
	memcpy(ret->serial, b + FIXED, ret->serial_len);
	if (take_name(b + at, subject, ret->subject) < 0 ||
	    take_name(b + at + subject, n - at - subject, ret->issuer) < 0)
		return -EUCLEAN;
	return 0;
}

static const char *kind_name(uint8_t kind)
{
	static const char *const names[] = {"", "certificate", "crl", "request"};

	return kind < COF_COUNT(names) ? names[kind] : "";
}

static void set_end(struct cof_json *into, const char *key, int64_t t)
{
	if (t == COF_CERT_NO_TIME)
		cof_json_set_str(into, key, "none");
	else
		cof_json_set_time(into, key, t);
}

void cof_cert_json(const struct cof_cert *c, struct cof_json *into)
{
	char hex[2 * COF_HASH + 2 * COF_CERT_SERIAL_MAX + 1];

	cof_json_set_str(into, "kind", kind_name((uint8_t)c->kind));
	if (c->serial_len) {
		cof_hex(c->serial, c->serial_len, hex);
		cof_json_set_str(into, "serial", hex);
	}
	if (c->kind != COF_CERT_CRL)
		cof_json_set_bytes(into, "subject", c->subject, strlen(c->subject));
	if (c->kind != COF_CERT_REQUEST) {
		cof_json_set_bytes(into, "issuer", c->issuer, strlen(c->issuer));
		set_end(into, "not_before", c->not_before);
		set_end(into, "not_after", c->not_after);
	}
	cof_hex(c->fingerprint, COF_HASH, hex);
	cof_json_set_str(into, "fingerprint", hex);
	cof_json_set_bool(into, "ca", c->flags & COF_CERT_CA);
	cof_json_set_bool(into, "self_issued", c->flags & COF_CERT_SELF_ISSUED);
	if (c->flags & COF_CERT_NO_END)
		cof_json_set_bool(into, "no_end", true);
}

/* ---- reading the file ---- */

void cof_certs_done(struct cof_certs *c)
{
	cof_buf_done(&c->found);
	cof_buf_done(&c->told);
}

static int keep_one(void *user, const struct cof_cert *c)
{
	cof_autobuf struct cof_buf value = {0};
	struct cof_certs *all = user;

	cof_cert_put(&value, c);
	if (value.failed)
		return -ENOMEM;
	cof_field_put(&all->found, COF_T_CERTIFICATE, value.data, value.len);
	all->n++;
	return all->found.failed ? -ENOMEM : 0;
}

static int64_t later(int64_t end, int64_t margin)
{
	int64_t sum;

	if (end == COF_CERT_NO_TIME)
		return COF_RETAIN_NONE;
	return __builtin_add_overflow(end, margin, &sum) || sum == COF_RETAIN_INFINITE
		       ? COF_RETAIN_INFINITE - 1
		       : sum;
}

static int read_whole(struct cof_archive *a, struct cof_obj *o, uint8_t *buf, struct cof_certs *ret)
{
	struct cof_cert_sum sum = {.not_after = COF_CERT_NO_TIME};
	int r = cof_read_range(a, COF_INDEX_NOW, o->node.ino, 0, buf, o->size);

	if (r == -ENOMEM || r == -COF_EINDEX)
		return r;
	if (r < 0) {
		cof_fail(&ret->why, r, "cannot be read: %s", strerror(-r));
		return 0;
	}
	pthread_mutex_lock(&a->certs.reading);
	r = cof_cert_read(buf, o->size, keep_one, ret, &sum, &ret->why);
	pthread_mutex_unlock(&a->certs.reading);
	if (r == -ENOMEM)
		return r;
	if (r < 0) { /* part of it may have been read: then it is as if none was */
		cof_buf_done(&ret->found);
		ret->n = 0;
		return 0;
	}
	if (sum.unread)
		cof_fail(&ret->why, 0, "has %u parts of %u that should be a certificate, CRL or request, and cannot be "
				       "read as such; the others count",
			 sum.unread, sum.unread + sum.items);
	ret->least = later(sum.not_after, cof_obj_policy(o)->retain_margin);
	if (sum.not_after != COF_CERT_NO_TIME)
		cof_field_put_i64(&ret->told, COF_T_CERT_NOT_AFTER, sum.not_after);
	if (sum.longest)
		cof_field_put_i64(&ret->told, COF_T_CERT_LONGEST, sum.longest);
	return 0;
}

static int look_into(struct cof_archive *a, struct cof_obj *o, struct cof_certs *ret)
{
	uint8_t *buf;
	int r;

	if (!o->size)
		return 0;
	if (o->size > COF_CERT_FILE_MAX) {
		cof_fail(&ret->why, 0, "has %llu bytes, more than the %u of which certificates are read",
			 (unsigned long long)o->size, COF_CERT_FILE_MAX);
		return 0;
	}
	buf = malloc(o->size);
	if (!buf)
		return -ENOMEM;
	r = read_whole(a, o, buf, ret);
	explicit_bzero(buf, o->size); /* somebody's private key may be in there too */
	free(buf);
	return r;
}

int cof_certs_look(struct cof_archive *a, struct cof_obj *o, struct cof_certs *ret)
{
	const struct cof_policy *p = cof_obj_policy(o);
	int64_t follow;
	int r = 0;

	ret->least = COF_RETAIN_NONE;
	if (p->certificates)
		r = look_into(a, o, ret);
	if (r == 0 && p->retain_certificates) {
		cof_field_put_i64(&ret->told, COF_T_FOLLOWS, p->retain_margin);
		follow = cof_certs_follow(a, o);
		ret->least = COF_MAX(ret->least, follow);
	}
	if (ret->least != COF_RETAIN_NONE)
		cof_field_put_i64(&ret->told, COF_T_LEAST_UNTIL, ret->least);
	return r ? r : ret->told.failed ? -ENOMEM : 0;
}

void cof_certs_tell(struct cof_archive *a, struct cof_obj *o, const struct cof_who *who,
		    const struct cof_certs *c)
{
	cof_autobuf struct cof_buf path = {0};
	struct cof_event e = {.type = COF_EV_CERT_MALFORMED,
			      .operation = "commit",
			      .reason = c->why.text,
			      .who = who->daemon ? NULL : who,
			      .object = o->node.ino};

	if (!c->why.text[0])
		return;
	if (cof_show_index_path(a->ix, COF_INDEX_NOW, o->node.ino, &path) == 0 && path.len && !path.failed)
		e.path = (char *)path.data;
	/* Should it fail, the COMMIT behind it does as well, or tells by what it lacks. */
	(void)cof_event_emit(a, &e, NULL);
}
