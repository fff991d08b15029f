// Made for these tests alone, valid until 2120. Nothing else trusts it, and so its key is no secret.

/** For localhost, sub.localhost, 127.0.0.1 and ::1; signed by itself. */
export const certificate: string = `-----BEGIN CERTIFICATE-----
MIIBlTCCATugAwIBAgICEAAwCgYIKoZIzj0EAwIwGjEYMBYGA1UEAwwPc2lsdmVy
YmFjayB0ZXN0MCAXDTIwMDEwMTAwMDAwMFoYDzIxMjAwMTAxMDAwMDAwWjAaMRgw
FgYDVQQDDA9zaWx2ZXJiYWNrIHRlc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC
AAQ5AoVwgRMzDWIi+wyjs8umkC+WxFT3Fh1q9D0rC8yr8ZYcpti366jA4L2fMxew
9etKQUSeTh/efdaatUGjbeWPo28wbTAPBgNVHRMBAf8EBTADAQH/MDsGA1UdEQQ0
MDKCCWxvY2FsaG9zdIINc3ViLmxvY2FsaG9zdIcEfwAAAYcQAAAAAAAAAAAAAAAA
AAAAATAdBgNVHQ4EFgQUyPfVe7O2+6xRAu9z3VPb/qiUSt4wCgYIKoZIzj0EAwID
SAAwRQIhAOf43ZlwWwupie5UgQS5+Znr/ChpwAjiQ1MirnOI7Rk/AiAsl6Mmiune
2RPlGecbwz0jibsGT07GIdn5OTjw2DR8Sg==
-----END CERTIFICATE-----
`

/** The key of {@link certificate}. */
export const privateKey: string = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgi05ImqVSwZx+iU4n
rXvTFFd3VNNdrU7M0N6sU+oGbDWhRANCAAQ5AoVwgRMzDWIi+wyjs8umkC+WxFT3
Fh1q9D0rC8yr8ZYcpti366jA4L2fMxew9etKQUSeTh/efdaatUGjbeWP
-----END PRIVATE KEY-----
`

/** The certificate of somebody else, who has not signed {@link certificate}. */
export const foreignCertificate: string = `-----BEGIN CERTIFICATE-----
MIIBhDCCASqgAwIBAgICEAAwCgYIKoZIzj0EAwIwIjEgMB4GA1UEAwwXYW5vdGhl
ciBzaWx2ZXJiYWNrIHRlc3QwIBcNMjAwMTAxMDAwMDAwWhgPMjEyMDAxMDEwMDAw
MDBaMCIxIDAeBgNVBAMMF2Fub3RoZXIgc2lsdmVyYmFjayB0ZXN0MFkwEwYHKoZI
zj0CAQYIKoZIzj0DAQcDQgAEu3avTXKAPd9w9KD+gt9594au+/lnyNo4GzK1Fd6R
Kei4MTp8bjtYZk90sBGqHsf09QdBG9Ni3l4IeT/LhaqgnKNOMEwwDwYDVR0TAQH/
BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwHQYDVR0OBBYEFFgW
tilJyFYgSAKLvVbnvx6gRdC4MAoGCCqGSM49BAMCA0gAMEUCIEygEh0cY1xcSUUd
lpdjay/onwBmdouIoRqZIgBg5XISAiEAxCYjI0Mb1lCKydNNRefiZRf4zpctmupE
/OWibcASHs4=
-----END CERTIFICATE-----
`
