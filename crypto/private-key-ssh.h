/* SPDX-License-Identifier: Apache-2.0 */
/* Private to crypto/private-key*.c. */
#ifndef COF_PRIVATE_KEY_SSH_H
#define COF_PRIVATE_KEY_SSH_H

#include "crypto/private-key.h"

#include <gnutls/x509.h>

/* A PEM file with OpenSSH's own form (openssh-key-v1) into an empty key. As cof_private_key_read. */
int cof_private_key_ssh(const void *p, size_t n, gnutls_x509_privkey_t key, struct cof_diag *diag);

#endif
