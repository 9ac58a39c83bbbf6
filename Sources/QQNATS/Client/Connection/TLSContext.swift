import Glibc
import NIOSSL

/// Certificates and keys for a connection, read anew each time, so that renewed ones are used.
enum TLSContext {
    /// Checks that the server's certificate comes from an authority that we trust; whom it is for, see ``CertificateNames``.
    ///
    /// - Throws: `NATSError` of kind `.configuration` that names the file.
    static func make(_ options: NATSOptions.TLS) throws(NATSError) -> NIOSSLContext {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv12
        configuration.certificateVerification = .noHostnameVerification
        if let file = options.authorityFile {
            let certificates = try reading(file, "the authorities' certificates") { try NIOSSLCertificate.fromPEMFile(file) }
            configuration.trustRoots = .certificates(certificates)
        }
        var keyFile: String?
        if let file = options.certificateFile {
            let chain = try reading(file, "our certificate") { try NIOSSLCertificate.fromPEMFile(file) }
            configuration.certificateChain = chain.map { .certificate($0) }
            let path = options.keyFile ?? file
            let key = try reading(path, "the key of our certificate") { try NIOSSLPrivateKey(file: path, format: .pem) }
            configuration.privateKey = .privateKey(key)
            keyFile = path
        }
        do { return try NIOSSLContext(configuration: configuration) } catch {
            if let keyFile, case NIOSSLError.failedToLoadPrivateKey = error {
                throw NATSError(.configuration, "the key is not that of our certificate", at: keyFile)
            }
            throw NATSError(.configuration, "TLS cannot be set up: \(error)")
        }
    }

    private static func reading<Value>(_ file: String, _ what: String, _ body: () throws -> Value) throws(NATSError) -> Value {
        do { return try body() } catch { throw NATSError(.configuration, "\(what) cannot be read: \(brief(error))", at: file) }
    }

    /// What went wrong, without the library's dump of its internals.
    private static func brief(_ error: any Error) -> String {
        switch error {
        case NIOSSLError.failedToLoadCertificate: "the file holds no PEM certificate"
        case NIOSSLError.failedToLoadPrivateKey: "the file holds no PEM key"
        default: "\(error)"
        }
    }

    // MARK: Failures

    /// Why a connection failed, in an operator's words; nil where it is not about TLS.
    /// - Parameters:
    ///   - certificate: the server's, as far as it has shown one.
    static func reason(_ error: any Error, _ options: NATSOptions.TLS, certificate: NIOSSLCertificate?) -> NATSError? {
        switch error {
        // What the server had said before may be lost: how it went on is then all that is known.
        case NIOSSLError.handshakeFailed(.sslError([.eofDuringHandshake])):
            NATSError(.disconnected, "the server ended the TLS handshake", hint: firstHint(options))
        case NIOSSLError.handshakeFailed(let error): handshakeFailure(complaint(error), options, certificate)
        // After a handshake of TLS 1.3 the server may still refuse our certificate.
        case let error as BoringSSLError: handshakeFailure(complaint(error), options, certificate)
        case let error as NIOSSLError: NATSError(.disconnected, "TLS: \(error)")
        default: nil
        }
    }

    private static func firstHint(_ options: NATSOptions.TLS) -> String? {
        options.handshakeFirst ? "--tls-first is for servers that are configured with handshake_first" : nil
    }

    private static func handshakeFailure(_ complaint: String, _ options: NATSOptions.TLS, _ certificate: NIOSSLCertificate?) -> NATSError {
        switch complaint {
        case "CERTIFICATE_VERIFY_FAILED":
            if let certificate, certificate.notValidAfter < time(nil) {
                return NATSError(.configuration, "the server's certificate has expired")
            }
            return NATSError(
                .configuration, "the server's certificate is not signed by an authority that we trust, or not valid now",
                hint: "--tls-ca FILE names the authorities to trust")
        case "WRONG_VERSION_NUMBER":
            return NATSError(.configuration, "the server does not speak TLS at this point", hint: firstHint(options))
        case let text where text.contains("_ALERT_") && ["CERTIFICATE", "UNKNOWN_CA"].contains(where: text.contains):
            let hint = "--tls-cert FILE and --tls-key FILE name our certificate and its key"
            return options.certificateFile == nil
                ? NATSError(.denied, "the server wants a certificate of ours", hint: hint)
                : NATSError(.denied, "the server does not accept our certificate", hint: hint)
        default: return NATSError(.disconnected, "TLS failed: \(complaint)")
        }
    }

    /// The library's word for what happened, such as `CERTIFICATE_VERIFY_FAILED`, out of
    /// `error:1000007d:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED at …`.
    private static func complaint(_ error: BoringSSLError) -> String {
        guard case .sslError(let stack) = error, let text = stack.last?.description else { return "\(error)" }
        let word = text.split(separator: " ").first { $0.contains("OPENSSL_internal:") }
        return word?.split(separator: ":").last.map(String.init) ?? text
    }
}

extension CertificateNames {
    init(_ certificate: NIOSSLCertificate) {
        names = certificate._subjectAlternativeNames().compactMap { name in
            switch name.nameType {
            case .dnsName: .host(String(decoding: name.contents, as: UTF8.self))
            case .ipAddress: .address(Array(name.contents))
            default: nil
            }
        }
    }
}
