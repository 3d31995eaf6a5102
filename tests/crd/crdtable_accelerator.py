"""Accelerator's rows of the table, and those of `acceleratorClass`, which names one."""

from .crdtable import ABSENT, ACCELERATOR, RECIPE_JOB, SERVICE, Case

NOT_A_CLASS = "must be the name of an Accelerator: lower-case letters, digits and '-'"
NOT_A_NAME = "the name must be a DNS label of at most 63 characters, as acceleratorClass takes it"
NOT_A_DECIMAL = 'must be a decimal in quotes, such as "0.001" or "1e-3"'
NOT_A_VALUE = "must be a label's value: letters, digits, '-', '_' and '.', 63 at most"
ON_A_CPU = "acceleratorClass needs accelerator nvidia"
PRICED = {"spec.dollarsPerHour": "4.916", "spec.priceSource": "our contract, 2026"}
RATES = ("memoryGigabytesPerSecond", "linkGigabytesPerSecond", "hostGigabytesPerSecond", "teraflops.fp16")
OPTIONAL_RATES = ("teraflops.bf16", "teraflops.fp8")

ACCELERATOR_CASES = (
    Case("as it is", ACCELERATOR, {}),
    Case("all fields", ACCELERATOR, {**PRICED, "spec.teraflops": {"fp16": 989, "bf16": 989, "fp8": 1979}}),
    Case("several labels", ACCELERATOR, {"spec.nodeLabels": {"a.b/c": "", "pool": "gpus_1.x"}}),
    Case("price alone", ACCELERATOR, {"spec.dollarsPerHour": "0.05"}),
    Case("name with a digit first", ACCELERATOR, {"metadata.name": "5090"}),
    Case("longest name", ACCELERATOR, {"metadata.name": "a" * 63}),
    *(Case(f"name {name[:9]}", ACCELERATOR, {"metadata.name": name}, "", NOT_A_NAME) for name in ("a.b", "a" * 64)),
    Case("no spec", ACCELERATOR, {"spec": ABSENT}, "spec", "Required value"),
    *(
        Case(f"no {name}", ACCELERATOR, {f"spec.{name}": ABSENT}, f"spec.{name}", "Required value")
        for name in ("memoryGib", *RATES, "teraflops", "nodeLabels")
    ),
    Case("memory as a quantity", ACCELERATOR, {"spec.memoryGib": "80Gi"}, "spec.memoryGib", NOT_A_DECIMAL),
    *(
        Case(
            f"memory {gib}",
            ACCELERATOR,
            {"spec.memoryGib": gib},
            "spec.memoryGib",
            "must be between 1 and 10000: it is of one GPU",
        )
        for gib in ("0", "0.9", "10001")
    ),
    *(
        Case(
            f"{name} {rate}",
            ACCELERATOR,
            {f"spec.{name}": rate},
            f"spec.{name}",
            "should be greater than or equal to 1" if rate == 0 else "should be less than or equal to 1000000",
        )
        for name in (*RATES, *OPTIONAL_RATES)
        for rate in (0, 1_000_001)
    ),
    Case("no label", ACCELERATOR, {"spec.nodeLabels": {}}, "spec.nodeLabels", "should have at least 1 properties"),
    *(
        Case(
            f"label value {value!r}",
            ACCELERATOR,
            {"spec.nodeLabels": {"gpu": value}},
            "spec.nodeLabels[gpu]",
            NOT_A_VALUE,
        )
        for value in ("a b", "-a", "a/b")
    ),
    Case("price as text", ACCELERATOR, {"spec.dollarsPerHour": "much"}, "spec.dollarsPerHour", NOT_A_DECIMAL),
    Case(
        "price too high",
        ACCELERATOR,
        {"spec.dollarsPerHour": "100001"},
        "spec.dollarsPerHour",
        "must be between 0 and 100000: it is of one GPU for an hour",
    ),
    *(
        Case(
            f"price {price}",
            ACCELERATOR,
            {"spec.dollarsPerHour": price},
            "spec.dollarsPerHour",
            "must be more than nothing: leave out what is not known",
        )
        for price in ("0", "0.00", "0e5")
    ),
    Case(
        "a source of no price",
        ACCELERATOR,
        {"spec.priceSource": "our contract"},
        "spec",
        "priceSource belongs to dollarsPerHour: set both",
    ),
    Case("unknown field", ACCELERATOR, {"spec.cores": 3}, "strict decoding error", 'unknown field "spec.cores"'),
    Case("a status", ACCELERATOR, {"status": {}}, "strict decoding error", 'unknown field "status"'),
    *(
        case
        for base in (RECIPE_JOB, SERVICE)
        for case in (
            Case("class", base, {"spec.accelerator": "nvidia", "spec.acceleratorClass": "h100-80gb"}),
            Case("class on CPUs", base, {"spec.acceleratorClass": "h200"}, "spec", ON_A_CPU),
            Case(
                "no class's name",
                base,
                {"spec.accelerator": "nvidia", "spec.acceleratorClass": "H200"},
                "spec.acceleratorClass",
                NOT_A_CLASS,
            ),
        )
    ),
)
