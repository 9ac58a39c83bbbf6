import Glibc
import Support
import Synchronization

@testable import QQVIP

/// Checks continuously which ends of a `NetworkPair` have an address.
final class Presence: Sendable {
    private struct State {
        var has = [false, false]
        /// The last check that found the address, on the clock of `bootNow`.
        var lastSeen: [UInt64] = [0, 0]
        var firstSeen: [[UInt64]] = [[], []]
        var doubled = 0
        var looks = 0
    }

    private let address: VirtualAddress
    private let sockets: Mutex<[RouteSocket]>
    private let state = Mutex(State())

    init(_ text: String, _ networks: NetworkPair) throws {
        address = try VirtualAddress.parse(text)
        sockets = Mutex(try (0..<2).map { RouteSocket(try networks.socket($0, AF_NETLINK, CInt(SOCK_RAW.rawValue), 0)) })
    }

    func isThere(_ end: Int) throws -> Bool {
        try sockets.withLock { try $0[end].addresses(isIPv6: address.isIPv6) }.contains { $0.bytes == address.bytes }
    }

    /// Checks both ends once. If both have the address, the first is checked again, because it could have moved between the two checks.
    func look() throws {
        let before = bootNow()
        var has = [try isThere(0), try isThere(1)]
        if has == [true, true] { has[0] = try isThere(0) }
        state.withLock { state in
            state.looks += 1
            if has == [true, true] { state.doubled += 1 }
            for end in 0..<2 where has[end] {
                // The time before the check: the address was certainly still there then.
                state.lastSeen[end] = before
                if !state.has[end] { state.firstSeen[end].append(bootNow()) }
            }
            state.has = has
        }
    }

    /// Checks until cancelled.
    func watch() async throws {
        while !Task.isCancelled {
            try look()
            usleep(100)
            await Task.yield()
        }
    }

    var looks: Int { state.withLock { $0.looks } }
    /// Number of checks that found the address at both ends.
    var doubled: Int { state.withLock { $0.doubled } }
    func lastSeen(_ end: Int) -> UInt64 { state.withLock { $0.lastSeen[end] } }
    /// How many times the address appeared at an end.
    func arrivals(_ end: Int) -> Int { state.withLock { $0.firstSeen[end].count } }
}

/// Frames that arrive at one end of a `NetworkPair`.
struct Capture: ~Copyable {
    private let descriptor: CInt

    init(_ networks: NetworkPair, at end: Int) throws {
        // ETH_P_ALL (linux/if_ether.h) in network order.
        descriptor = try networks.socket(end, AF_PACKET, CInt(SOCK_RAW.rawValue), CInt(UInt16(3).bigEndian))
    }

    deinit { close(descriptor) }

    /// The complete frames that arrived since the last call.
    func frames() -> [[UInt8]] {
        var frames: [[UInt8]] = []
        var buffer = [UInt8](repeating: 0, count: 2048)
        while true {
            let count = recv(descriptor, &buffer, buffer.count, CInt(MSG_DONTWAIT))
            if count <= 0 { return frames }
            frames.append(Array(buffer.prefix(count)))
        }
    }
}
