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
        configuration.certificateVerification = options.checksServer ? .noHostnameVerification : .none
        configuration.applicationProtocols = protocols
        if let source = options.authority {
            let authorities = try certificates(source, "the authorities' certificates")
            if options.trustsSystem {
                configuration.additionalTrustRoots = [.certificates(authorities)]
            } else {
                configuration.trustRoots = .certificates(authorities)
            }
        }
        var keySource: PEMSource?
        if let source = options.certificate {
            configuration.certificateChain = try certificates(source, "the client certificate").map { .certificate($0) }
            let found = options.key ?? source
            let key = try reading(found, "the client certificate's key", .key) { content in
                switch content {
                case .file(let path): try NIOSSLPrivateKey(file: path, format: .pem)
                case .bytes(let bytes): try NIOSSLPrivateKey(bytes: bytes, format: .pem)
                }
            }
            configuration.privateKey = .privateKey(key)
            keySource = found
        }
        do { return try NIOSSLContext(configuration: configuration) } catch {
            if let keySource, case NIOSSLError.failedToLoadPrivateKey = error {
                throw TLSFailure(.configuration, "the key does not belong to the client certificate", at: keySource.location)
            }
            // Of all settings, only the system's authorities are read from files by the library.
            if options.checksServer, options.authority == nil || options.trustsSystem, case BoringSSLError.unknownError = error {
                throw TLSFailure(
                    .configuration, "the system's certificate authorities cannot be read",
                    hint: "install them (package ca-certificates); " + options.hints.authority)
            }
            throw TLSFailure(.configuration, ForeignError.reason(cannotSetUp, error))
        }
    }

    private static let cannotSetUp = "TLS cannot be set up"

    /// Makes the TLS handler of a connection.
    ///
    /// - Parameters:
    ///   - names: names of which the server's certificate must have one. The first host among them is requested from the server (SNI).
    ///   - protocols: the protocols to offer by ALPN, as for `make`.
    /// - Throws: `TLSFailure` of kind `.configuration`.
    public static func handler(
        _ options: TLSOptions, for names: [String], protocols: [String] = []
    ) throws(TLSFailure) -> NIOSSLClientHandler {
        let context = try make(options, protocols: protocols)
        let name = CertificateNames.indication(names)
        do { return try NIOSSLClientHandler(context: context, serverHostname: name) } catch {
            guard let name, error as? NIOSSLExtraError == .invalidSNIHostname else {
                throw TLSFailure(.configuration, ForeignError.reason(cannotSetUp, error))
            }
            throw TLSFailure(
                .configuration, "the name to request from \(options.subject) has \(name.utf8.count) bytes; a host name has 1 to 255")
        }
    }

    private static func certificates(_ source: PEMSource, _ what: String) throws(TLSFailure) -> [NIOSSLCertificate] {
        try reading(source, what, .certificates) { content in
            switch content {
            case .file(let path): try NIOSSLCertificate.fromPEMFile(path)
            case .bytes(let bytes): try NIOSSLCertificate.fromPEMBytes(bytes)
            }
        }
    }

    private static func reading<Value>(
        _ source: PEMSource, _ what: String, _ kind: PEMProblem.Kind, _ body: (PEMSource.Content) throws -> Value
    ) throws(TLSFailure) -> Value {
        func failure(_ reason: String, hint: String? = nil) -> TLSFailure {
            TLSFailure(.configuration, "\(what) cannot be read: \(reason)", at: source.location, hint: hint ?? source.hint)
        }
        var reason: String?
        if case .file(let path) = source.content {
            // The library reports a missing file as an empty one.
            reason = access(path, R_OK) == 0 ? nil : SystemCallError("access").reason
            // The library would wait for a process that writes to a pipe. Moreover, the file is read again for each connection.
            var information = stat()
            if stat(path, &information) == 0, information.st_mode & S_IFMT != S_IFREG { throw failure("it is not a regular file") }
        }
        do { return try body(source.content) } catch {
            if let reason { throw failure(reason) }
            let problem = problem(source.content, kind)
            throw failure(problem.reason, hint: problem.hint)
        }
    }

    private static func problem(_ content: PEMSource.Content, _ kind: PEMProblem.Kind) -> PEMProblem {
        switch content {
        case .file(let path):
            // Empty if the file is gone by now; the next connection reads it again.
            PEMProblem((try? ReadableFile.contents(of: path, upTo: PEMProblem.largest)) ?? [], kind, isFile: true)
        case .bytes(let bytes): PEMProblem(bytes, kind, isFile: false)
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
        case NIOSSLError.handshakeFailed(.sslError([.eofDuringHandshake])),
            NIOSSLError.handshakeFailed(.sslError([.eofDuringAdditionalCertficiateChainValidation])),
            NIOSSLError.handshakeFailed(.zeroReturn), NIOSSLError.handshakeFailed(.syscallError):
            TLSFailure(.disconnected, "\(options.subject) ended the TLS handshake", hint: hint)
        case NIOSSLError.handshakeFailed(let error): failure(complaint(error), options, certificate, hint)
        // The connection ended, as any connection can. TLS is not the reason.
        case NIOSSLError.uncleanShutdown, NIOSSLError.shutdownFailed: nil
        // The server can still refuse the client certificate after a handshake of TLS 1.3.
        case let error as BoringSSLError: failure(complaint(error), options, certificate, hint)
        case is NIOSSLError, is NIOSSLExtraError: TLSFailure(.disconnected, ForeignError.reason(failed(options), error))
        default: nil
        }
    }

    private static func failed(_ options: TLSOptions) -> String { "TLS with \(options.subject) failed" }

    /// - Parameter complaint: BoringSSL's name for the error.
    static func failure(
        _ complaint: String, _ options: TLSOptions, _ certificate: NIOSSLCertificate?, _ hint: String?
    ) -> TLSFailure {
        if complaint == "CERTIFICATE_VERIFY_FAILED" { return distrust(options, certificate) }
        guard let known = TLSComplaint(complaint, hasCertificate: options.certificate != nil) else {
            return TLSFailure(.disconnected, ForeignError.reason(failed(options), words: complaint))
        }
        let advice: String? =
            switch known.advice {
            case .plainText: hint
            case .certificate: options.hints.certificate
            case .text(let text): text
            case nil: nil
            }
        return TLSFailure(known.kind, "\(options.subject) \(known.predicate)", hint: advice)
    }

    /// Why a certificate was not accepted. The library does not say it.
    private static func distrust(_ options: TLSOptions, _ certificate: NIOSSLCertificate?) -> TLSFailure {
        let subject = "\(options.subject)'s certificate"
        let clock = "check this machine's clock: date"
        if let certificate, certificate.notValidAfter < time(nil) {
            return TLSFailure(.configuration, "\(subject) has expired", hint: "renew it on the server; if it is valid, " + clock)
        }
        if let certificate, certificate.notValidBefore > time(nil) {
            return TLSFailure(.configuration, "\(subject) is not valid yet", hint: clock)
        }
        return TLSFailure(
            .configuration, "\(subject) is not signed by a trusted authority, or not valid for a server now", hint: options.hints.authority)
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
    public static func check(
        _ certificate: NIOSSLCertificate?, isFor expected: [String], _ options: TLSOptions
    ) throws(TLSFailure) {
        guard options.checksServer else { return }
        guard let certificate else { throw TLSFailure(.configuration, "\(options.subject) has shown no certificate") }
        let names = CertificateNames(certificate)
        guard !expected.contains(where: { names.isFor($0) }) else { return }
        throw TLSFailure(
            .configuration, "\(options.subject)'s certificate is not for \(expected.joined(separator: " or ")), but for \(names)",
            hint: options.hints.serverName)
    }

    /// The first of `expected` that SNI can request from the server: SNI names only hosts (RFC 6066, section 3).
    public static func indication(_ expected: [String]) -> String? { expected.first { bytes(ofAddress: $0) == nil } }
}
