//! `aegis.image`: pictures.

use super::{Args, Call, CallContext, Datum, Field, Function, Module, Record, Type};
use crate::base::Fault;
use crate::primitives::image::{Area, CompareOptions};

const COMPARE: Record = Record {
    name: "ImageCompare",
    doc: "What counts as different.",
    fields: &[
        Field::optional(
            "tolerance",
            Type::Integer,
            "By how much a colour may differ, 0 to 255; 0 unless said otherwise",
        ),
        Field::optional("diff", Type::Boolean, "Draw the differences"),
    ],
};

const AREA: Record = Record {
    name: "ImageArea",
    doc: "A rectangle, in pixels from the left upper corner.",
    fields: &[
        Field::required("left", Type::Integer, "Where it begins"),
        Field::required("top", Type::Integer, "Where it begins"),
        Field::required("width", Type::Integer, "How wide it is"),
        Field::required("height", Type::Integer, "How high it is"),
    ],
};

const COMPARED: Record = Record {
    name: "ImageCompared",
    doc: "Where two pictures differ. What one has and the other has not differs.",
    fields: &[
        Field::required("same_size", Type::Boolean, "Whether they are equally wide and high"),
        Field::required("pixels", Type::Integer, "How many were compared"),
        Field::required("different", Type::Integer, "How many of them differ"),
        Field::required("percent", Type::Number, "The same as a share"),
        Field::optional("area", Type::Record(&AREA), "The smallest rectangle with all differences; nil without any"),
        Field::optional("diff", Type::Bytes, "The second picture, pale, with the differences in red, as PNG"),
    ],
};

pub const MODULE: Module = Module {
    name: "image",
    doc: "Pictures, such as screenshots.",
    functions: &[Function {
        name: "compare",
        doc: "How far two PNGs look different, pixel by pixel.",
        params: &[
            Field::required("first", Type::Bytes, "A PNG of at most 16 MiB and 16 million pixels"),
            Field::required("second", Type::Bytes, "What it is compared with"),
            Field::optional("options", Type::Record(&COMPARE), "What counts as different"),
        ],
        returns: Type::Record(&COMPARED),
        call: Call::Async(|context, args| Box::pin(compare(context, args))),
        ..Function::DEFAULT
    }],
    ..Module::DEFAULT
};

async fn compare(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let options = args.record("options");
    let tolerance = options.integer("tolerance").unwrap_or(0);
    let tolerance = u8::try_from(tolerance).map_err(|_| {
        Fault::new("args.value", format!("{}: option \"tolerance\" must be 0 to 255, got {tolerance}", context.name))
    })?;
    let options = CompareOptions { tolerance, diff: options.flag("diff") };
    let picture = |name| args.bytes(name).unwrap_or_default().to_vec();
    let found = context.primitives.image.compare(picture("first"), picture("second"), options).await?;
    Ok(Datum::record([
        ("same_size", found.same_size.into()),
        ("pixels", whole(found.pixels)),
        ("different", whole(found.different)),
        ("percent", Datum::Number(100.0 * found.different as f64 / found.pixels.max(1) as f64)),
        ("area", found.area.map_or(Datum::Null, area)),
        ("diff", found.diff.map_or(Datum::Null, Datum::Bytes)),
    ]))
}

fn area(area: Area) -> Datum {
    let length = |pixels: usize| whole(pixels as u64);
    Datum::record([
        ("left", length(area.left)),
        ("top", length(area.top)),
        ("width", length(area.width)),
        ("height", length(area.height)),
    ])
}

fn whole(count: u64) -> Datum {
    Datum::Integer(i64::try_from(count).unwrap_or(i64::MAX))
}
