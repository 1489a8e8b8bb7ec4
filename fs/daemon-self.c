/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the daemon says of itself: digests of its program and libraries, its cryptographic modules,
 * how it is confined, what it was mounted with. Once into the MOUNT frame, and to whoever asks for
 * its status.
 */
#include "fs/daemon-self.h"

#include "crypto/crypto.h"
#include "fs/log/log.h"

#include <stdio.h>

int cof_daemon_self_measure(struct cof_daemon_self *s, struct cof_diag *diag)
{
	return cof_guard_measure(&s->files, &s->n, diag);
}

void cof_daemon_self_done(struct cof_daemon_self *s)
{
	free(s->files);
	cof_buf_done(&s->fields);
	*s = (struct cof_daemon_self){.n = 0};
}

static void put_files(struct cof_daemon_self *s)
{
	for (size_t i = 0; i < s->n; i++) {
		cof_autobuf struct cof_buf value = {0};

		cof_buf_add(&value, s->files[i].digest, sizeof(s->files[i].digest));
		cof_buf_printf(&value, "%s", s->files[i].name);
		cof_field_put(&s->fields, COF_T_MEASURED, value.data, value.len);
		s->fields.failed |= value.failed;
	}
}

static void put_modules(struct cof_daemon_self *s)
{
	struct cof_module modules[COF_MODULES];

	cof_crypto_modules(false, modules);
	for (size_t i = 0; i < COF_COUNT(modules); i++) {
		cof_autobuf struct cof_buf text = {0};

		cof_buf_printf(&text, "%s %s: %s", modules[i].name, modules[i].version, modules[i].status);
		cof_field_put(&s->fields, COF_T_MODULE, text.data, text.len);
		s->fields.failed |= text.failed;
	}
}

static void put_guard(struct cof_daemon_self *s, const struct cof_json *guard)
{
	cof_autobuf struct cof_buf value = {0};
	uint8_t digest[32];
	int64_t uid = 0, landlock = 0;

	cof_guard_digest(digest);
	(void)cof_json_int(guard, "uid", &uid);
	(void)cof_json_int(guard, "landlock", &landlock);
	cof_buf_add(&value, digest, sizeof(digest));
	cof_buf_printf(&value, "uid %lld, %s, seccomp %s, landlock %lld, keys in %s", (long long)uid,
		       cof_json_bool(guard, "capabilities") ? "capabilities" : "no capabilities",
		       cof_json_bool(guard, "seccomp") ? "yes" : "no", (long long)landlock,
		       cof_secret_memory());
	cof_field_put(&s->fields, COF_T_GUARD, value.data, value.len);
	s->fields.failed |= value.failed;
}

/* Not the places of the key file or the index: this is readable without a key. */
static void put_options(struct cof_daemon_self *s, const struct cof_mount_options *o)
{
	char text[256];

	snprintf(text, sizeof(text), "secret=%s,transport=%s,threads=%u%s%s%s%s",
		 o->keyfile[0] ? "keyfile" : o->seal[0] ? o->seal : "passphrase", o->uring ? "uring" : "classic",
		 o->threads, o->root_only ? ",rootonly" : "", o->keep_mutable ? ",noimmutable" : "",
		 o->unconfined ? ",unconfined" : "", o->hook[0] ? ",hook" : "");
	cof_field_put_str(&s->fields, COF_T_OPTIONS, text);
}

int cof_daemon_self_fields(struct cof_daemon_self *s, const struct cof_mount_options *o, struct cof_diag *diag)
{
	cof_autojson struct cof_json *guard = cof_json_object();

	cof_guard_status(guard);
	put_files(s);
	put_modules(s);
	put_guard(s, guard);
	put_options(s, o);
	return s->fields.failed || !guard ? cof_fail(diag, -ENOMEM, "out of memory") : 0;
}

void cof_daemon_self_status(const struct cof_daemon_self *s, struct cof_json *status)
{
	struct cof_json *guard = cof_json_object(), *files = cof_json_array(), *modules = cof_json_array();
	struct cof_module state[COF_MODULES];
	char hex[65];

	cof_guard_status(guard);
	cof_json_set_str(guard, "keys", cof_secret_memory());
	cof_json_set(status, "guard", guard);
	for (size_t i = 0; i < s->n; i++) {
		struct cof_json *o = cof_json_object();

		cof_hex(s->files[i].digest, 32, hex);
		cof_json_set_str(o, "path", s->files[i].path);
		cof_json_set_str(o, "sha256", hex);
		if (s->files[i].replaced)
			cof_json_set_bool(o, "replaced", true);
		cof_json_append(files, o);
	}
	cof_json_set(status, "measured", files);
	cof_crypto_modules(false, state);
	for (size_t i = 0; i < COF_COUNT(state); i++) {
		struct cof_json *o = cof_json_object();

		cof_json_set_str(o, "name", state[i].name);
		cof_json_set_str(o, "version", state[i].version);
		cof_json_set_str(o, "status", state[i].status);
		cof_json_append(modules, o);
	}
	cof_json_set(status, "modules", modules);
}
