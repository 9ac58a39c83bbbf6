import Support
import Testing

@testable import QQNetwork

@Suite struct PEMProblemTests {
    private static func block(_ label: String, _ content: String = "AAAA") -> String {
        "-----BEGIN \(label)-----\n\(content)\n-----END \(label)-----\n"
    }

    static let keys: [(String, String)] = [
        ("", "the file is empty"), ("junk\n", "the file holds no PEM key"),
        ("0\u{1}\u{2}", "the file is binary (DER or PKCS #12), not PEM"),
        (block("CERTIFICATE"), "the file holds no PEM key, but: CERTIFICATE"),
        (block("ENCRYPTED PRIVATE KEY"), "the key is encrypted, and qq cannot ask for a passphrase"),
        (
            block("RSA PRIVATE KEY", "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA"),
            "the key is encrypted, and qq cannot ask for a passphrase"
        ),
        (block("PRIVATE KEY"), "the key is damaged, or of a kind that qq does not support"),
        (block("\u{1b}[2J"), "the file holds no PEM key, but: \\x1b[2J"),
    ]

    @Test(arguments: keys.indices) func `the reason why a key cannot be used is told`(index: Int) {
        let (text, reason) = Self.keys[index]
        let problem = PEMProblem(Array(text.utf8), .key, isFile: true)
        #expect(problem.reason == reason)
        #expect((problem.hint != nil) == reason.contains("encrypted"), "\(problem)")
    }

    static let certificates: [(String, String)] = [
        ("", "it is empty"), ("junk", "there is no PEM certificate"),
        (block("PRIVATE KEY"), "there is no PEM certificate, but: PRIVATE KEY"),
        (block("CERTIFICATE"), "its certificate is damaged"), (block("CERTIFICATE", "!!!!"), "its certificate is damaged"),
        ("-----BEGIN CERTIFICATE-----\nMIIB\n", "its certificate was cut: there is no END line"),
        (block("CERTIFICATE") + block("CERTIFICATE"), "certificate 1 of its 2 is damaged"),
    ]

    @Test(arguments: certificates.indices) func `the reason why certificates cannot be used is told`(index: Int) {
        let (text, reason) = Self.certificates[index]
        #expect(PEMProblem(Array(text.utf8), .certificates, isFile: false).reason == reason)
    }

    @Test func `the certificate among several that is damaged is named`() async throws {
        _ = try await withSandbox(.light) { box in
            let certificates = try await Certificates(in: box)
            let whole = readText(certificates.authority)
            let problem = PEMProblem(Array((whole + Self.block("CERTIFICATE")).utf8), .certificates, isFile: true)
            #expect(problem.reason == "certificate 2 of its 2 is damaged")
        }
    }
}
