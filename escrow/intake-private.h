/* SPDX-License-Identifier: Apache-2.0 */
/* Private to escrow/intake*.c: what goes over the socket. Both ends are the same program. */
#ifndef COF_INTAKE_PRIVATE_H
#define COF_INTAKE_PRIVATE_H

#include "escrow/intake.h"

#define COF_INTAKE_SECONDS 20

struct cof_intake_question {
	uint32_t n;
	bool has_passphrase, wants_key;
	char passphrase[COF_PRIVATE_KEY_PASSPHRASE];
	uint8_t file[COF_PRIVATE_KEY_MAX];
};
struct cof_intake_answer {
	int32_t err;
	char text[sizeof(((struct cof_diag *)NULL)->text)];
	struct cof_private_key key;
	uint32_t n;
	uint8_t pkcs8[COF_PRIVATE_KEY_MAX];
};

/* The process: gives up everything, answers one question, ends. probe: instead of reading it tries what it
 * should not be able to do, and answers with what it could (tests). */
_Noreturn void cof_intake_part(int fd, bool probe);
int cof_intake_probe(char ret_text[768], struct cof_diag *diag);

#endif
