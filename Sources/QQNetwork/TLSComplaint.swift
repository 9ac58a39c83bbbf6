/// A failure of TLS in our words, found by BoringSSL's name for it, such as `TLSV1_ALERT_PROTOCOL_VERSION`. Alerts (RFC 8446, section 6) are the other
/// side's own account.
struct TLSComplaint: Equatable {
    /// The hint that belongs to a complaint.
    enum Advice: Equatable {
        /// How to connect without TLS.
        case plainText
        /// How to change the client certificate.
        case certificate
        case text(String)
    }

    var kind = TLSFailure.Kind.disconnected
    /// What the other side did, to follow "the server".
    var predicate: String
    var advice: Advice?

    /// - Parameters:
    ///   - name: BoringSSL's name for the error.
    ///   - hasCertificate: whether there is a client certificate.
    /// - Returns: nil for a name that is not known.
    init?(_ name: String, hasCertificate: Bool) {
        if let alert = Self.alert(name) {
            self = Self.complaint(alert: alert, hasCertificate: hasCertificate)
        } else if let known = Self.known(name) {
            self = known
        } else {
            return nil
        }
    }

    private init(_ predicate: String, _ kind: TLSFailure.Kind = .disconnected, _ advice: Advice? = nil) {
        (self.predicate, self.kind, self.advice) = (predicate, kind, advice)
    }

    private static let versions = Advice.text("qq speaks TLS 1.2 and 1.3")
    private static let wrongPort = Advice.text("is that the right server, and the right port?")
    private static let nothingShared = TLSComplaint(
        "refuses the TLS handshake: it shares no TLS version or cipher with qq", .disconnected, versions)
    private static let oldVersion = TLSComplaint("speaks no TLS version that qq accepts", .disconnected, versions)
    private static let damaged = TLSComplaint("sent TLS data that does not verify: it was damaged or changed on the way")

    // MARK: Alerts

    /// The alert's name, such as `PROTOCOL_VERSION`; nil if the error is no alert.
    private static func alert(_ name: String) -> String? {
        // BoringSSL calls the alert so if it is the answer to its first message.
        if name == "HANDSHAKE_FAILURE_ON_CLIENT_HELLO" { return name }
        if let mark = name.firstRange(of: "_ALERT_") { return String(name[mark.upperBound...]) }
        // BoringSSL has no name for this alert, and adds 1000 to its number.
        guard name.hasPrefix("reason("), name.hasSuffix(")"), let code = Int(name.dropFirst(7).dropLast()), (1_000...1_255).contains(code)
        else { return nil }
        return "\(code - 1_000)"
    }

    private static func complaint(alert: String, hasCertificate: Bool) -> TLSComplaint {
        if alert.contains("CERTIFICATE") || alert == "UNKNOWN_CA" { return certificate(alert, isOurs: hasCertificate) }
        return switch alert {
        case "HANDSHAKE_FAILURE_ON_CLIENT_HELLO", "INSUFFICIENT_SECURITY", "INAPPROPRIATE_FALLBACK": nothingShared
        // Servers with OpenSSL answer with this in TLS 1.2 if a client certificate is missing.
        case "HANDSHAKE_FAILURE":
            TLSComplaint(
                hasCertificate
                    ? "refuses the TLS handshake, perhaps because of the client certificate"
                    : "refuses the TLS handshake; it might require a client certificate", .disconnected, .certificate)
        case "PROTOCOL_VERSION": oldVersion
        case "ACCESS_DENIED":
            TLSComplaint(
                hasCertificate ? "denies access to the holder of the client certificate" : "denies access without a client certificate",
                .denied, .certificate)
        case "UNRECOGNIZED_NAME":
            TLSComplaint(
                "has no certificate for the name that was requested", .disconnected, .text("connect by a name that its certificate has"))
        case "NO_APPLICATION_PROTOCOL": TLSComplaint("does not speak the expected protocol (ALPN) over TLS", .disconnected, wrongPort)
        case "INTERNAL_ERROR": TLSComplaint("failed in the TLS handshake; its log might say why")
        case "CLOSE_NOTIFY", "USER_CANCELLED": TLSComplaint("ended the TLS connection")
        case let number where number.allSatisfy(\.isNumber): TLSComplaint("ended the TLS connection with the alert \(number)")
        default:
            TLSComplaint(
                "ended the TLS connection with the alert \"\(alert.lowercased().split(separator: "_").joined(separator: " "))\"")
        }
    }

    private static func certificate(_ alert: String, isOurs: Bool) -> TLSComplaint {
        guard isOurs else { return TLSComplaint("requires a client certificate", .denied, .certificate) }
        let reason: String? =
            switch alert {
            case "CERTIFICATE_EXPIRED": "it has expired"
            case "CERTIFICATE_REVOKED": "it has been revoked"
            case "UNKNOWN_CA": "its authority is not known there"
            case "UNSUPPORTED_CERTIFICATE": "it is of a kind that is not supported there"
            default: nil
            }
        return TLSComplaint("does not accept the client certificate" + (reason.map { ": \($0)" } ?? ""), .denied, .certificate)
    }

    // MARK: Errors of this side

    private static func known(_ name: String) -> TLSComplaint? {
        switch name {
        case "WRONG_VERSION_NUMBER", "HTTP_REQUEST", "HTTPS_PROXY_REQUEST", "INVALID_OUTER_RECORD_TYPE":
            TLSComplaint("does not speak TLS at this point", .configuration, .plainText)
        case "UNSUPPORTED_PROTOCOL", "UNKNOWN_PROTOCOL", "WRONG_SSL_VERSION", "UNKNOWN_SSL_VERSION": oldVersion
        case "NO_SHARED_CIPHER", "NO_SHARED_GROUP", "NO_COMMON_SIGNATURE_ALGORITHMS", "WRONG_CIPHER_RETURNED", "UNKNOWN_CIPHER_RETURNED",
            "WRONG_CURVE", "WRONG_SIGNATURE_TYPE", "UNSUPPORTED_ELLIPTIC_CURVE":
            TLSComplaint("chose TLS parameters that qq does not accept", .disconnected, versions)
        case "DECRYPTION_FAILED_OR_BAD_RECORD_MAC", "DECRYPTION_FAILED", "BAD_SIGNATURE", "DIGEST_CHECK_FAILED": damaged
        case "TLS13_DOWNGRADE", "DOWNGRADE_DETECTED":
            TLSComplaint("was made to use an older TLS version by something in between, which qq does not accept")
        case "KEY_USAGE_BIT_INCORRECT", "ECC_CERT_NOT_FOR_SIGNING":
            TLSComplaint("has a certificate whose key usage does not allow TLS", .configuration)
        case "CANNOT_PARSE_LEAF_CERT", "UNKNOWN_CERTIFICATE_TYPE", "WRONG_CERTIFICATE_TYPE", "UNSUPPORTED_CERTIFICATE":
            TLSComplaint("has a certificate that cannot be decoded, or is of an unknown kind", .configuration)
        case "PEER_DID_NOT_RETURN_A_CERTIFICATE", "NO_CERTIFICATES_RETURNED": TLSComplaint("has shown no certificate", .configuration)
        default: nil
        }
    }
}
