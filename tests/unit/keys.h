/*
 * Two Ed25519 keys, as `openssl genpkey`, `openssl pkey -pubout` and OpenSSH write them. They open nothing.
 */
#ifndef KEYS_H
#define KEYS_H

#define BEGIN(type) "-----BEGIN " type "-----\n"
#define END(type) "-----END " type "-----\n"
#define BLOCK(type, base64) BEGIN(type) base64 "\n" END(type)
#define PRIVATE(base64) BLOCK("PRIVATE KEY", base64)
#define PUBLIC(base64) BLOCK("PUBLIC KEY", base64)

#define PRIVATE_A PRIVATE("MC4CAQAwBQYDK2VwBCIEILzY58/5UrbGw9DwbZRGifYCykV5f+N6aqQOgCPdFjaE")
#define PRIVATE_B PRIVATE("MC4CAQAwBQYDK2VwBCIEIP9yFYprHuHJWvZyt0/1CWxDn024/A1/QEs1Y39p84lr")
#define PUBLIC_A PUBLIC("MCowBQYDK2VwAyEAWOUyDjoFnicZ1VlvwsX1XLW/Uu/tvr8OJiw+7xVxl5k=")
#define PUBLIC_B PUBLIC("MCowBQYDK2VwAyEAf+lBLjm1mmoovn0EA7CQ2rpIB0NnFbvUuwSdWBdSk4U=")
#define BASE64_A "AAAAC3NzaC1lZDI1NTE5AAAAIFjlMg46BZ4nGdVZb8LF9Vy1v1Lv7b6/DiYsPu8VcZeZ"
#define BASE64_B "AAAAC3NzaC1lZDI1NTE5AAAAIH/pQS45tZpqKL59BAOwkNq6SAdDZxW71LsEnVgXUpOF"
#define SSH_A "ssh-ed25519 " BASE64_A " user@host\n"
#define SSH_B "ssh-ed25519 " BASE64_B "\n"

#endif
