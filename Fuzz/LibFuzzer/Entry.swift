import Glibc

/// The target that QQ_FUZZ_TARGET names. One program contains all of them.
private let target: FuzzTarget? = getenv("QQ_FUZZ_TARGET").flatMap { name in FuzzTarget.all.first { $0.name == String(cString: name) } }

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOne(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
    guard let target else {
        print("QQ_FUZZ_TARGET names none of \(FuzzTarget.all.map(\.name).joined(separator: " "))")
        exit(2)
    }
    target.run(Array(UnsafeBufferPointer(start: data, count: size)))
    return 0
}
