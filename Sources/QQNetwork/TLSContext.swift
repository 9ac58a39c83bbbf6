import Glibc
import NIOSSL
import QQCore

/// Certificates and keys for a connection. They are read again for each connection, so that renewed ones are used.
public enum TLSContext {
    /// Makes a context that checks whether a trusted authority has issued the server's certificate. ``CertificateNames`` checks which names
    /// it is valid for.
    ///
    /// - Parameter protocols: the protocols to offer by ALPN (RFC 7301), in order of preference.
    /// - Throws: `TLSFailure` of kind `.configuration` that names the file.
    public static func make(_ options: TLSOptions, protocols: [String] = []) throws(TLSFailure) -> NIOSSLContext {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv12
        configuration.certificateVerification = .noHostnameVerification
        configuration.applicationProtocols = protocols
        if let file = options.authorityFile {
            let certificates = try reading(file, "the authorities' certificates", "--tls-ca") { try NIOSSLCertificate.fromPEMFile(file) }
            configuration.trustRoots = .certificates(certificates)
        }
        var keyFile: String?
        if let file = options.certificateFile {
            let chain = try reading(file, "the client certificate", "--tls-cert") { try NIOSSLCertificate.fromPEMFile(file) }
            configuration.certificateChain = chain.map { .certificate($0) }
            let path = options.keyFile ?? file
            let key = try reading(path, "the client certificate's key", "--tls-key") { try NIOSSLPrivateKey(file: path, format: .pem) }
            configuration.privateKey = .privateKey(key)
            keyFile = path
        }
        do { return try NIOSSLContext(configuration: configuration) } catch {
            if let keyFile, case NIOSSLError.failedToLoadPrivateKey = error {
                throw TLSFailure(.configuration, "the key does not belong to the client certificate", at: keyFile)
            }
            throw TLSFailure(.configuration, "TLS cannot be set up: \(error)")
        }
    }

    private static func reading<Value>(
        _ file: String, _ what: String, _ flag: String, _ body: () throws -> Value
    ) throws(TLSFailure) -> Value {
        // The library reports a missing file as an empty one.
        let reason = access(file, R_OK) == 0 ? nil : SystemCallError("access").reason
        // The library would wait for a process that writes to a pipe. Moreover, the file is read again for each connection.
        var information = stat()
        if stat(file, &information) == 0, information.st_mode & S_IFMT != S_IFREG {
            throw TLSFailure(
                .configuration, "\(what) cannot be read: it is not a regular file", at: file, hint: "\(flag) takes a file in PEM form")
        }
        do { return try body() } catch {
            throw TLSFailure(
                .configuration, "\(what) cannot be read: \(reason ?? brief(error))", at: file, hint: "\(flag) takes a file in PEM form")
        }
    }

    /// The reason of an error, without the library's dump of its internals.
    private static func brief(_ error: any Error) -> String {
        switch error {
        case NIOSSLError.failedToLoadCertificate: "the file holds no PEM certificate"
        case NIOSSLError.failedToLoadPrivateKey: "the file holds no PEM key"
        default: "\(error)"
        }
    }

    // MARK: Failures

    /// The reason why a connection failed, in an operator's words; nil if it has nothing to do with TLS.
    /// - Parameters:
    ///   - certificate: the server's certificate, if it has shown one.
    ///   - hint: what to do if the server does not seem to speak TLS at this point.
    public static func reason(
        _ error: any Error, _ options: TLSOptions, certificate: NIOSSLCertificate?, hint: String? = nil
    ) -> TLSFailure? {
        switch error {
        // Earlier messages of the server may be lost; only the end of the handshake is known then.
        case NIOSSLError.handshakeFailed(.sslError([.eofDuringHandshake])):
            TLSFailure(.disconnected, "the server ended the TLS handshake", hint: hint)
        case NIOSSLError.handshakeFailed(let error): handshakeFailure(complaint(error), options, certificate, hint)
        // The server can still refuse the client certificate after a handshake of TLS 1.3.
        case let error as BoringSSLError: handshakeFailure(complaint(error), options, certificate, hint)
        case let error as NIOSSLError: TLSFailure(.disconnected, "TLS: \(error)")
        default: nil
        }
    }

    private static func handshakeFailure(
        _ complaint: String, _ options: TLSOptions, _ certificate: NIOSSLCertificate?, _ hint: String?
    ) -> TLSFailure {
        switch complaint {
        case "CERTIFICATE_VERIFY_FAILED":
            if let certificate, certificate.notValidAfter < time(nil) {
                return TLSFailure(.configuration, "the server's certificate has expired")
            }
            return TLSFailure(
                .configuration, "the server's certificate is not signed by a trusted authority, or not valid now",
                hint: "--tls-ca FILE names the authorities to trust")
        case "WRONG_VERSION_NUMBER":
            return TLSFailure(.configuration, "the server does not speak TLS at this point", hint: hint)
        case let text where text.contains("_ALERT_") && ["CERTIFICATE", "UNKNOWN_CA"].contains(where: text.contains):
            let hint = "--tls-cert FILE and --tls-key FILE name the client certificate and its key"
            return options.certificateFile == nil
                ? TLSFailure(.denied, "the server requires a client certificate", hint: hint)
                : TLSFailure(.denied, "the server does not accept the client certificate", hint: hint)
        default: return TLSFailure(.disconnected, "TLS failed: \(complaint)")
        }
    }

    /// The library's name for the error, such as `CERTIFICATE_VERIFY_FAILED`, from
    /// `error:1000007d:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED at …`.
    private static func complaint(_ error: BoringSSLError) -> String {
        guard case .sslError(let stack) = error, let text = stack.last?.description else { return "\(error)" }
        let word = text.split(separator: " ").first { $0.contains("OPENSSL_internal:") }
        return word?.split(separator: ":").last.map(String.init) ?? text
    }
}

extension CertificateNames {
    public init(_ certificate: NIOSSLCertificate) {
        names = certificate._subjectAlternativeNames().compactMap { name in
            switch name.nameType {
            case .dnsName: .host(String(decoding: name.contents, as: UTF8.self))
            case .ipAddress: .address(Array(name.contents))
            default: nil
            }
        }
    }

    /// Checks the names of the server's certificate. Call this before sending anything.
    /// - Throws: `TLSFailure` if the certificate is valid for none of `expected`.
    public static func check(_ certificate: NIOSSLCertificate?, isFor expected: [String]) throws(TLSFailure) {
        guard let certificate else { throw TLSFailure(.configuration, "the server has shown no certificate") }
        let names = CertificateNames(certificate)
        guard !expected.contains(where: { names.isFor($0) }) else { return }
        throw TLSFailure(
            .configuration, "the server's certificate is not for \(expected.joined(separator: " or ")), but for \(names)",
            hint: "use that name in the URL, or name the expected one with --tls-name")
    }

    /// The first of `expected` that SNI can request from the server: SNI names only hosts (RFC 6066, section 3).
    public static func indication(_ expected: [String]) -> String? { expected.first { bytes(ofAddress: $0) == nil } }
}
