/// The 64-bit FNV-1a hash of `bytes`: the same on all machines and in all versions, and therefore fit for names and checksums, but not for security.
///
/// Source: Fowler, Noll, Vo; RFC 9923.
@inlinable
public func fnv1a64(_ bytes: some Sequence<UInt8>) -> UInt64 {
    bytes.reduce(0xcbf2_9ce4_8422_2325) { hash, byte in (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
}
