import NIOSSL
import QQCore

/// The reason why a content cannot be used as certificates or as a key in PEM form (RFC 7468). The TLS library has one error for all reasons.
struct PEMProblem: Equatable {
    enum Kind {
        case certificates
        case key
    }

    /// Size of the largest content that is examined, in bytes.
    static let largest = 1 << 20

    var reason: String
    var hint: String?

    /// - Parameter isFile: whether the content is that of a file, for the words.
    init(_ content: [UInt8], _ kind: Kind, isFile: Bool) {
        let text = String(decoding: content, as: UTF8.self)
        let subject = isFile ? "the file" : "it"
        let labels = Self.labels(in: text)
        if content.isEmpty {
            reason = "\(subject) is empty"
        } else if labels.isEmpty, content.first == 0x30 {
            reason = "\(subject) is binary (DER or PKCS #12), not PEM"
        } else {
            switch kind {
            case .certificates: reason = Self.certificates(text, labels, isFile)
            case .key: (reason, hint) = Self.key(text, labels, isFile)
            }
        }
    }

    private static func certificates(_ text: String, _ labels: [String], _ isFile: Bool) -> String {
        let count = labels.count { $0 == "CERTIFICATE" }
        guard count > 0 else { return missing("certificate", labels, isFile) }
        let blocks = text.split(separator: "-----BEGIN CERTIFICATE-----", omittingEmptySubsequences: false).dropFirst()
        let number = blocks.enumerated().first { _, block in
            (try? NIOSSLCertificate(bytes: Array("-----BEGIN CERTIFICATE-----\(block)".utf8), format: .pem)) == nil
        }?.offset
        guard let number else { return "its certificates cannot be used" }
        let which = count == 1 ? "its certificate" : "certificate \(number + 1) of its \(count)"
        return blocks.dropFirst(number).first?.contains("-----END CERTIFICATE-----") == false
            ? "\(which) was cut: there is no END line" : "\(which) is damaged"
    }

    private static func key(_ text: String, _ labels: [String], _ isFile: Bool) -> (String, hint: String?) {
        guard labels.contains(where: { $0.hasSuffix("PRIVATE KEY") }) else { return (missing("key", labels, isFile), nil) }
        // RFC 7468, section 11, and RFC 1421, section 4.6.1.1.
        if labels.contains("ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED") {
            return ("the key is encrypted, and qq cannot ask for a passphrase", "store it without one: openssl pkey -in KEY -out NEW")
        }
        return ("the key is damaged, or of a kind that qq does not support", nil)
    }

    private static func missing(_ what: String, _ labels: [String], _ isFile: Bool) -> String {
        let other = labels.first.map { ", but: " + Printable.text($0) } ?? ""
        return (isFile ? "the file holds no PEM " : "there is no PEM ") + what + other
    }

    /// The labels of the first blocks, such as `CERTIFICATE`.
    private static func labels(in text: String) -> [String] {
        text.split(whereSeparator: \.isNewline).lazy.filter { $0.hasPrefix("-----BEGIN ") && $0.count < 80 }.map {
            String($0.dropFirst(11).prefix { $0 != "-" })
        }
    }
}
