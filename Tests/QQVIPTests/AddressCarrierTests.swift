import QQCore
import Testing

@testable import QQVIP

@Suite("Carrying an address")
struct AddressCarrierTests {
    private struct StillClock: LeaseClock {
        func now() -> BootInstant { BootInstant(nanoseconds: 0) }
        func sleep(until deadline: BootInstant) async throws { throw CancellationError() }
    }

    @Test("carrying an address needs leases that the kernel can follow in whole seconds")
    func timing() throws {
        try AddressCarrier.check(ttl: .seconds(4), renewEvery: .seconds(4) / 3)
        #expect { try AddressCarrier.check(ttl: .seconds(3), renewEvery: .seconds(1)) } throws: { error in
            guard let error = error as? CoordinationError else { return false }
            return error.kind == .usage && error.hint == "choose a --ttl of at least 4s, and leave --renew-every out"
        }
    }

    @Test("carrying an address needs an existing interface")
    func noInterface() throws {
        let address = try VirtualAddress.parse("192.0.2.5/24@qq-not-here")
        #expect { try AddressCarrier(address, clock: StillClock()) { _ in } } throws: { error in
            guard let error = error as? CoordinationError else { return false }
            return error.kind == .configuration && error.reason == "there is no interface qq-not-here here"
        }
    }
}
