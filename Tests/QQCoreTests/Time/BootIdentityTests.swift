import Testing

@testable import QQCore

@Suite("Boot clock identities")
struct BootIdentityTests {
    @Test("boot identities distinguish clocks and kernels") func distinguishesClocksAndKernels() {
        let (machine, namespace, other) = (BootIdentity("b007"), BootIdentity("b007/20.0"), BootIdentity("cafe"))
        #expect(machine.isSameClock(as: BootIdentity("b007")))
        #expect(!machine.isSameClock(as: namespace))
        #expect(machine.isSameKernel(as: namespace))
        #expect(namespace.isSameKernel(as: BootIdentity("b007/-3.5")))
        #expect(!machine.isSameKernel(as: other))
    }

    @Test("an unknown boot identity matches none, not even another unknown one") func unknownMatchesNone() {
        #expect(!BootIdentity("").isSameClock(as: BootIdentity("")))
        #expect(!BootIdentity("").isSameKernel(as: BootIdentity("")))
    }

    @Test("the boot clock's offset in a time namespace is read from the kernel's list") func namespaceOffset() {
        #expect(BootIdentity.offset(in: "monotonic           0         0\nboottime           20         5\n") == "20.5")
        #expect(BootIdentity.offset(in: "1 0 0\n7 -3 0\n") == "-3.0")
        #expect(BootIdentity.offset(in: "") == nil)
        #expect(BootIdentity.offset(in: "boottime 1") == nil)
    }

    @Test("this process's boot identity is the same each time") func ownIsStable() {
        #expect(BootIdentity.own == BootIdentity.own)
        #expect(BootIdentity.own.kernel.count == 36)
    }
}
