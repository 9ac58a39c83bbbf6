import Testing

@testable import QQNetwork

@Suite("The names that a certificate is valid for")
struct CertificateNamesTests {
    private func names(_ hosts: String...) -> CertificateNames { CertificateNames(names: hosts.map { .host($0) }) }

    @Test(
        "a certificate is valid for its host names, in any case, and for those that a wildcard stands for",
        arguments: [
            ("n1.example", "n1.example", true), ("N1.Example.", "n1.example", true), ("n1.example", "N1.EXAMPLE.", true),
            ("n1.example", "n2.example", false), ("n1.example", "example", false), ("example", "n1.example", false),
            ("localhost", "localhost", true), ("n1.nats.example", "*.nats.example", true), ("nats.example", "*.nats.example", false),
            ("a.n1.nats.example", "*.nats.example", false), ("n1.example", "*.example", true), ("example", "*", false),
            ("n1.example", "n*.example", false), ("n1.example", "*.*", false), ("n1.com", "*", false), ("a.b", "*.", false),
            ("", "", false),
            ("n1..example", "n1..example", false), ("n1.com", "*.com", true), ("localhost", "*", false), ("é.example", "é.example", true),
        ])
    func host(_ expected: String, _ offered: String, _ isFor: Bool) {
        #expect(names("other.example", offered).isFor(expected) == isFor)
    }

    @Test("a certificate is valid for its addresses, however they are written, and never for an address that is one of its host names")
    func address() {
        let names = CertificateNames(names: [
            .address([127, 0, 0, 1]), .address([UInt8](repeating: 0, count: 15) + [1]), .host("10.0.0.1"), .host("*.0.0.2"),
        ])
        #expect(names.isFor("127.0.0.1"))
        #expect(names.isFor("::1") && names.isFor("0:0:0:0:0:0:0:1"))
        #expect(!names.isFor("10.0.0.1") && !names.isFor("10.0.0.2") && !names.isFor("127.0.0.2") && !names.isFor("::2"))
        // The certificate is for the machine at the other end, not for the requested name.
        #expect(!names.isFor("localhost"))
    }

    @Test("a certificate without names is valid for no host")
    func none() {
        #expect(!CertificateNames(names: []).isFor("localhost"))
        #expect(CertificateNames(names: []).description == "no name at all")
        #expect(names("a", "b").description == "a, b")
        #expect(names("a", "b", "c", "d", "e", "f").description == "a, b, c, d, e and others")
        #expect(CertificateNames(names: [.address([10, 0, 0, 9])]).description == "10.0.0.9")
    }

    @Test("SNI requests host names, and no addresses")
    func indication() {
        #expect(CertificateNames.indication(["api.example"]) == "api.example")
        #expect(CertificateNames.indication(["10.0.0.1", "::1"]) == nil)
        #expect(CertificateNames.indication(["10.0.0.1", "api.example"]) == "api.example")
    }
}
