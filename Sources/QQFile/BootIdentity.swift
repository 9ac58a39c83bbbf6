import Glibc

/// Which boot of which kernel this is.
enum BootIdentity {
    /// /proc/sys/kernel/random/boot_id; empty where there is no /proc, which matches no record that names one.
    static let id: String = {
        let number = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC)
        guard number >= 0 else { return "" }
        let bytes = (try? Descriptor(number).read(at: 0, count: 64)) ?? []
        return String(decoding: bytes.prefix { $0 > 0x20 }, as: UTF8.self)
    }()
}
