// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.
#pragma once

#include <boost/asio/ssl.hpp>

#include <memory>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdexcept>

namespace test_support {

struct free_openssl {
    void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
    void operator()(X509* certificate) const { X509_free(certificate); }
};

inline void check_openssl(bool success)
{
    if (!success)
        throw std::runtime_error("OpenSSL refused to make a certificate");
}

/// A key and a certificate for "localhost", signed by itself, for this run.
class tls_identity {
public:
    tls_identity() : key_(EVP_EC_gen("P-256")), certificate_(X509_new())
    {
        check_openssl(key_ != nullptr && certificate_ != nullptr);
        X509* const x = certificate_.get();
        check_openssl(X509_set_version(x, 2) == 1);
        check_openssl(ASN1_INTEGER_set(X509_get_serialNumber(x), 1) == 1);
        check_openssl(X509_gmtime_adj(X509_getm_notBefore(x), -60) != nullptr);
        check_openssl(X509_gmtime_adj(X509_getm_notAfter(x), 3600) != nullptr);
        X509_NAME* const name = X509_get_subject_name(x);
        const auto* const host = reinterpret_cast<const unsigned char*>("localhost");
        check_openssl(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, host, -1, -1, 0) == 1);
        check_openssl(X509_set_issuer_name(x, name) == 1);
        check_openssl(X509_set_pubkey(x, key_.get()) == 1);
        check_openssl(X509_sign(x, key_.get(), EVP_sha256()) != 0);
    }

    boost::asio::ssl::context server() const
    {
        boost::asio::ssl::context tls(boost::asio::ssl::context::tls_server);
        check_openssl(SSL_CTX_use_certificate(tls.native_handle(), certificate_.get()) == 1);
        check_openssl(SSL_CTX_use_PrivateKey(tls.native_handle(), key_.get()) == 1);
        return tls;
    }

    /// A client that knows the certificate, or does not.
    boost::asio::ssl::context client(bool trusts) const
    {
        boost::asio::ssl::context tls(boost::asio::ssl::context::tls_client);
        tls.set_verify_mode(boost::asio::ssl::verify_peer);
        tls.set_verify_callback(boost::asio::ssl::host_name_verification("localhost"));
        if (trusts)
            check_openssl(X509_STORE_add_cert(SSL_CTX_get_cert_store(tls.native_handle()),
                                              certificate_.get()) == 1);
        return tls;
    }

private:
    std::unique_ptr<EVP_PKEY, free_openssl> key_;
    std::unique_ptr<X509, free_openssl> certificate_;
};

} // namespace test_support
