#!/bin/sh
# What could compute on this host, a line each; `end` tells that all of it was said. ROOT is the root folder, empty on a host.
#
#   kernel VERSION | memory KIB | nvidia VERSION-LINE | card MIB, NAME
#   device ADDRESS CLASS VENDOR DEVICE DRIVER MEMORY RENDER ACCEL     ("-" for what is not there; memory in bytes)
#   node PATH GROUP MODE | store FOLDER | library PATH
#
# Builtins where they do: a PC has a hundred PCI devices. What cannot be read is left out, never an error.
(
    cd "${ROOT:-}/" || exit
    value() { # FILE: its first line in $value
        value=-
        if [ -r "$1" ]; then read -r value <"$1" || [ -n "$value" ] || value=-; fi
    }
    value proc/version
    echo "kernel $value"
    while read -r name number _; do
        [ "$name" != MemTotal: ] || echo "memory $number"
    done <proc/meminfo
    for device in sys/bus/pci/devices/*; do
        value "$device/class"
        class=$value
        case $class in
        0x03* | 0x12* | 0x118*) ;; # display, processing accelerator, signal processing (where AMD puts its neural processor)
        *) continue ;;
        esac
        line="device ${device##*/} $class"
        for name in vendor device; do
            value "$device/$name"
            line="$line $value"
        done
        driver=-
        [ ! -L "$device/driver" ] || driver=$(readlink "$device/driver")
        value "$device/mem_info_vram_total"
        line="$line ${driver##*/} $value"
        for kind in drm/renderD accel/accel; do
            node=-
            for path in "$device/$kind"*; do
                [ ! -e "$path" ] || node=${path##*/}
            done
            line="$line $node"
        done
        echo "$line"
    done
    stat -c 'node /%n %g %a' dev/kfd dev/dxg dev/dri/renderD* dev/accel/accel*
    for folder in usr/lib/wsl/drivers/*.inf_*; do
        case ${folder##*/} in
        u0* | *iigd_* | npu.inf_* | kipudrv.inf_* | amdnpu.inf_*) [ ! -d "$folder" ] || echo "store ${folder##*/}" ;;
        esac
    done
    for path in usr/lib/wsl/lib/libcuda.so.1 usr/lib/wsl/lib/libdxcore.so opt/rocm/lib/librocdxg.so; do
        [ ! -e "$path" ] || echo "library /$path"
    done
    value proc/driver/nvidia/version
    [ "$value" = - ] || echo "nvidia $value"
    for program in usr/bin/nvidia-smi usr/lib/wsl/lib/nvidia-smi; do
        if [ -x "$program" ]; then
            # A driver that hangs must not hang the run.
            timeout 20 "./$program" --query-gpu=memory.total,name --format=csv,noheader,nounits | sed 's/^/card /'
            break
        fi
    done
    echo end
) 2>/dev/null
