import QQCore

extension VirtualAddress {
    /// Checks that the address is not used elsewhere on this machine. On its own interface and with its own prefix length it was left
    /// behind by an earlier holder, which is not a conflict.
    /// - Parameters:
    ///   - present: all addresses of this machine of the same family.
    ///   - index: the number of the interface.
    /// - Throws: `.configuration`.
    func checkConflicts(with present: [InterfaceAddress], index: UInt32, name: (UInt32) -> String = RouteSocket.name)
        throws(CoordinationError)
    {
        for other in present where other.bytes == bytes {
            if other.index == index {
                guard other.prefixLength != prefixLength else { continue }
                throw conflict("\(interface) has it already, as \(address)/\(other.prefixLength)", other, on: interface)
            }
            // The same link-local address is a different address on every link.
            if isLinkLocal { continue }
            let owner = name(other.index)
            throw conflict("\(owner) has it already", other, on: owner)
        }
    }

    private func conflict(_ why: String, _ other: InterfaceAddress, on owner: String) -> CoordinationError {
        CoordinationError(
            .configuration, "cannot carry \(self)", because: Printable.text(why), at: "--vip",
            hint: "if it was left there, remove it: ip addr del \(address)/\(other.prefixLength) dev \(Printable.text(owner))")
    }

    private var isLinkLocal: Bool { isIPv6 && bytes[0] == 0xfe && bytes[1] & 0xc0 == 0x80 }
}
