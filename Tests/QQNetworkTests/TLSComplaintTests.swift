import NIOSSL
import Testing

@testable import QQNetwork

/// The names are those of BoringSSL (`SSL_R_…`), without their prefix.
@Suite struct TLSComplaintTests {
    private static func failure(_ name: String, certificate: Bool = false) -> TLSFailure {
        var options = TLSOptions()
        if certificate { options.certificate = .file("client.pem") }
        return TLSContext.failure(name, options, nil, "without TLS, it is plain://")
    }

    static let alerts: [(String, TLSFailure.Kind, String)] = [
        (
            "HANDSHAKE_FAILURE_ON_CLIENT_HELLO", .disconnected,
            "the server refuses the TLS handshake: it shares no TLS version or cipher with qq"
        ),
        (
            "TLSV1_ALERT_INSUFFICIENT_SECURITY", .disconnected,
            "the server refuses the TLS handshake: it shares no TLS version or cipher with qq"
        ),
        ("SSLV3_ALERT_HANDSHAKE_FAILURE", .disconnected, "the server refuses the TLS handshake; it might require a client certificate"),
        ("TLSV1_ALERT_PROTOCOL_VERSION", .disconnected, "the server speaks no TLS version that qq accepts"),
        ("TLSV1_ALERT_ACCESS_DENIED", .denied, "the server denies access without a client certificate"),
        ("TLSV1_ALERT_UNRECOGNIZED_NAME", .disconnected, "the server has no certificate for the name that was requested"),
        ("TLSV1_ALERT_NO_APPLICATION_PROTOCOL", .disconnected, "the server does not speak the expected protocol (ALPN) over TLS"),
        ("TLSV1_ALERT_INTERNAL_ERROR", .disconnected, "the server failed in the TLS handshake; its log might say why"),
        ("SSLV3_ALERT_ILLEGAL_PARAMETER", .disconnected, "the server ended the TLS connection with the alert \"illegal parameter\""),
        ("reason(1099)", .disconnected, "the server ended the TLS connection with the alert 99"),
        ("TLSV1_ALERT_CERTIFICATE_REQUIRED", .denied, "the server requires a client certificate"),
        ("SSLV3_ALERT_BAD_CERTIFICATE", .denied, "the server requires a client certificate"),
    ]

    @Test(arguments: alerts.indices) func `an alert of the server is told in words of ours`(index: Int) {
        let (name, kind, reason) = Self.alerts[index]
        let failure = Self.failure(name)
        #expect(failure.reason == reason && failure.kind == kind, "\(failure)")
    }

    @Test(
        arguments: [
            ("SSLV3_ALERT_BAD_CERTIFICATE", ""), ("SSLV3_ALERT_CERTIFICATE_EXPIRED", ": it has expired"),
            ("SSLV3_ALERT_CERTIFICATE_REVOKED", ": it has been revoked"), ("TLSV1_ALERT_UNKNOWN_CA", ": its authority is not known there"),
            ("SSLV3_ALERT_UNSUPPORTED_CERTIFICATE", ": it is of a kind that is not supported there"),
        ])
    func `the reason for which a client certificate is refused is told`(name: String, why: String) {
        let failure = Self.failure(name, certificate: true)
        #expect(failure.reason == "the server does not accept the client certificate" + why && failure.kind == .denied, "\(failure)")
        #expect(failure.hint == TLSHints().certificate)
    }

    @Test(
        arguments: [
            ("WRONG_VERSION_NUMBER", TLSFailure.Kind.configuration, "the server does not speak TLS at this point"),
            ("HTTP_REQUEST", .configuration, "the server does not speak TLS at this point"),
            ("UNSUPPORTED_PROTOCOL", .disconnected, "the server speaks no TLS version that qq accepts"),
            ("WRONG_CIPHER_RETURNED", .disconnected, "the server chose TLS parameters that qq does not accept"),
            (
                "DECRYPTION_FAILED_OR_BAD_RECORD_MAC", .disconnected,
                "the server sent TLS data that does not verify: it was damaged or changed on the way"
            ),
            ("KEY_USAGE_BIT_INCORRECT", .configuration, "the server has a certificate whose key usage does not allow TLS"),
            (
                "CERTIFICATE_VERIFY_FAILED", .configuration,
                "the server's certificate is not signed by a trusted authority, or not valid for a server now"
            ),
            ("LENGTH_MISMATCH", .disconnected, "TLS with the server failed (library: LENGTH_MISMATCH)"),
        ])
    func `an error of this side is told in words of ours`(name: String, kind: TLSFailure.Kind, reason: String) {
        let failure = Self.failure(name)
        #expect(failure.reason == reason && failure.kind == kind, "\(failure)")
    }

    @Test func `a hint belongs to each complaint that the user can do something about`() {
        #expect(Self.failure("WRONG_VERSION_NUMBER").hint == "without TLS, it is plain://")
        #expect(Self.failure("TLSV1_ALERT_UNRECOGNIZED_NAME").hint?.contains("its certificate") == true)
        #expect(Self.failure("SSLV3_ALERT_HANDSHAKE_FAILURE").hint == TLSHints().certificate)
        #expect(Self.failure("TLSV1_ALERT_PROTOCOL_VERSION").hint == "qq speaks TLS 1.2 and 1.3")
        #expect(Self.failure("CERTIFICATE_VERIFY_FAILED").hint == TLSHints().authority)
    }

    @Test func `no error of the library is told by its own name alone`() {
        let options = TLSOptions()
        let handshake: [NIOSSLError] = [
            .handshakeFailed(.sslError([.eofDuringHandshake])),
            .handshakeFailed(.sslError([.eofDuringAdditionalCertficiateChainValidation])),
            .handshakeFailed(.zeroReturn), .handshakeFailed(.syscallError),
        ]
        for error in handshake {
            #expect(TLSContext.reason(error, options, certificate: nil)?.reason == "the server ended the TLS handshake", "\(error)")
        }
        let others: [any Error] = [
            NIOSSLError.readInInvalidTLSState, NIOSSLError.writeDuringTLSShutdown, NIOSSLError.handshakeFailed(.unknownError([])),
            NIOSSLError.handshakeFailed(.sslError([])), NIOSSLExtraError.failedToValidateHostname, BoringSSLError.wantConnect,
        ]
        for error in others {
            let reason = TLSContext.reason(error, options, certificate: nil)?.reason
            #expect(reason?.hasPrefix("TLS with the server failed (library: ") == true, "\(error): \(reason ?? "")")
        }
    }

    @Test func `a connection that ends without the end that TLS prescribes is no failure of TLS`() {
        #expect(TLSContext.reason(NIOSSLError.uncleanShutdown, TLSOptions(), certificate: nil) == nil)
    }

    @Test(arguments: [256, 5_000]) func `a name that is too long to be requested is refused in words`(length: Int) throws {
        var options = TLSOptions()
        options.checksServer = false
        let failure = try #require(throws: TLSFailure.self) {
            _ = try TLSContext.handler(options, for: [String(repeating: "a", count: length)])
        }
        #expect(failure.kind == .configuration)
        #expect(failure.reason == "the name to request from the server has \(length) bytes; a host name has 1 to 255")
    }
}
