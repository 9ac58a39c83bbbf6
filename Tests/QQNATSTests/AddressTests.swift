import QQNATS
import Testing

@Suite("Addresses of NATS servers") struct AddressTests {
    @Test("an address is written as in a URL") func text() {
        #expect(NATSOptions.Address(host: "a").description == "a:4222")
        #expect(NATSOptions.Address(host: "::1", port: 5).description == "[::1]:5")
    }
}
